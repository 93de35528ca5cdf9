/**
 * Writes notifications to the kernel, one after the other, on a thread of its own.
 *
 * The loop thread must not: invalidating pages waits until a READ of them is answered, and only
 * the loop thread answers. The thread pool must not either: a few such waits would fill it.
 */
#ifndef WIRE_NOTIFIER_H_
#define WIRE_NOTIFIER_H_

#include <node_api.h>
#include <stdint.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "unique-fd.h"

namespace wire {

class Notifier {
 public:
  explicit Notifier(std::shared_ptr<UniqueFd> device)
      : state_(std::make_shared<State>(std::move(device))) {}
  ~Notifier() { Stop(); }

  /**
   * `messages` lie one behind the other, each as long as its header says, and are written one by
   * one. A promise of 0, or of -errno of the first that was refused. The first call starts the
   * thread.
   */
  napi_value Send(napi_env env, std::vector<uint8_t> messages);

  /**
   * Lets the thread end once it has finished what it is writing; what still waits resolves with
   * -ECANCELED. Does not wait for the thread: it may be held by a READ that is answered later.
   */
  void Stop();

 private:
  struct Task {
    std::vector<uint8_t> messages;
    napi_deferred deferred;
    int result;
  };

  /** Shared with the thread, which may outlive the Notifier. */
  struct State {
    explicit State(std::shared_ptr<UniqueFd> fd) : device(std::move(fd)) {}
    /** Shared with the channel, so that its number cannot be another file's while we write. */
    const std::shared_ptr<UniqueFd> device;
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Task*> tasks;
    bool stopping = false;
    /** Held while the thread calls into Node, which frees `done` when its environment ends. */
    std::mutex calls;
    bool environment_gone = false;
  };

  bool Start(napi_env env);
  static void OnEnvironmentEnd(void* weak_state);
  static int WriteEach(State* state, const std::vector<uint8_t>& messages);
  static void Run(std::shared_ptr<State> state, napi_threadsafe_function done);
  static void Settle(napi_env env, napi_value, void*, void* task);

  std::shared_ptr<State> state_;
  bool started_ = false;
};

}  // namespace wire

#endif
