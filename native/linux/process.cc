#include "process.h"

#include <errno.h>
#include <sys/prctl.h>

#include "napi-values.h"

namespace wire {

napi_value ForbidDump(napi_env env, napi_callback_info) {
  return Int(env, ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno);
}

}  // namespace wire
