#include "notifier.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "napi-values.h"

namespace wire {

/** `struct fuse_out_header` of `include/uapi/linux/fuse.h`; it begins with the message's length. */
constexpr size_t kHeaderBytes = 16;

napi_value Notifier::Send(napi_env env, std::vector<uint8_t> messages) {
  if (!started_ && !Start(env)) {
    napi_throw_error(env, nullptr, "wire addon: no thread for notifications");
    return nullptr;
  }
  napi_value promise = nullptr;
  Task* task = new Task{std::move(messages), nullptr, -ECANCELED};
  if (napi_create_promise(env, &task->deferred, &promise) != napi_ok) {
    delete task;
    return nullptr;
  }
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->tasks.push_back(task);
  state_->wake.notify_one();
  return promise;
}

bool Notifier::Start(napi_env env) {
  napi_value name = nullptr;
  napi_threadsafe_function done = nullptr;
  if (napi_create_string_utf8(env, "wire-notify", NAPI_AUTO_LENGTH, &name) != napi_ok) return false;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                      Settle, &done) != napi_ok) {
    return false;
  }
  // A waiting notification must not keep the process alive.
  napi_unref_threadsafe_function(env, done);
  // Added after the function, so it runs before Node frees that.
  napi_add_env_cleanup_hook(env, OnEnvironmentEnd, new std::weak_ptr<State>(state_));
  std::thread(Run, state_, done).detach();
  started_ = true;
  return true;
}

void Notifier::OnEnvironmentEnd(void* weak_state) {
  const std::unique_ptr<std::weak_ptr<State>> weak(static_cast<std::weak_ptr<State>*>(weak_state));
  const std::shared_ptr<State> state = weak->lock();
  if (state == nullptr) return;
  const std::lock_guard<std::mutex> lock(state->calls);
  state->environment_gone = true;
}

void Notifier::Stop() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_one();
}

int Notifier::WriteEach(State* state, const std::vector<uint8_t>& messages) {
  int result = 0;
  for (size_t start = 0; start < messages.size();) {
    uint32_t length = 0;
    const size_t left = messages.size() - start;
    if (left < kHeaderBytes) return -EINVAL;
    memcpy(&length, &messages[start], sizeof(length));
    if (length < kHeaderBytes || length > left) return -EINVAL;
    const ssize_t written = ::write(state->device->get(), &messages[start], length);
    if (written < 0 && result == 0) result = -errno;
    start += length;
    const std::lock_guard<std::mutex> lock(state->mutex);
    if (state->stopping) return start < messages.size() ? -ECANCELED : result;
  }
  return result;
}

void Notifier::Run(std::shared_ptr<State> state, napi_threadsafe_function done) {
  std::unique_lock<std::mutex> lock(state->mutex);
  for (;;) {
    state->wake.wait(lock, [&] { return state->stopping || !state->tasks.empty(); });
    if (state->tasks.empty()) break;
    Task* task = state->tasks.front();
    state->tasks.pop_front();
    const bool cancelled = state->stopping;
    lock.unlock();
    if (!cancelled) task->result = WriteEach(state.get(), task->messages);
    {
      const std::lock_guard<std::mutex> calling(state->calls);
      if (state->environment_gone ||
          napi_call_threadsafe_function(done, task, napi_tsfn_nonblocking) != napi_ok) {
        // The function is gone, or going, and must not be released either.
        delete task;
        return;
      }
    }
    lock.lock();
  }
  lock.unlock();
  const std::lock_guard<std::mutex> calling(state->calls);
  if (!state->environment_gone) napi_release_threadsafe_function(done, napi_tsfn_release);
}

void Notifier::Settle(napi_env env, napi_value, void*, void* data) {
  Task* task = static_cast<Task*>(data);
  // Without an environment the process is on its way out: nobody waits for the promise.
  if (env != nullptr) napi_resolve_deferred(env, task->deferred, Int(env, task->result));
  delete task;
}

}  // namespace wire
