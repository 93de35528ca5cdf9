#include "job.h"

#include <errno.h>

#include <utility>

#include "napi-values.h"

namespace wire {
namespace {

struct Job {
  std::function<int()> work;
  napi_deferred deferred = nullptr;
  napi_async_work handle = nullptr;
  int result = -ECANCELED;
};

void Execute(napi_env, void* data) {
  Job* job = static_cast<Job*>(data);
  job->result = job->work();
}

void Complete(napi_env env, napi_status, void* data) {
  Job* job = static_cast<Job*>(data);
  napi_resolve_deferred(env, job->deferred, Int(env, job->result));
  napi_delete_async_work(env, job->handle);
  delete job;
}

}  // namespace

napi_value RunJob(napi_env env, std::function<int()> work) {
  napi_value promise = nullptr;
  napi_value name = nullptr;
  Job* job = new Job{std::move(work)};
  if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "wire", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, nullptr, name, Execute, Complete, job, &job->handle) != napi_ok ||
      napi_queue_async_work(env, job->handle) != napi_ok) {
    delete job;
    napi_throw_error(env, nullptr, "wire addon: no thread for a system call");
    return nullptr;
  }
  return promise;
}

}  // namespace wire
