/** A system call that may wait, on a thread of the pool: JavaScript gets a promise of its result. */
#ifndef WIRE_JOB_H_
#define WIRE_JOB_H_

#include <node_api.h>

#include <functional>

namespace wire {

/** `work` runs off the loop thread and returns a value >= 0, or a negative errno. */
napi_value RunJob(napi_env env, std::function<int()> work);

}  // namespace wire

#endif
