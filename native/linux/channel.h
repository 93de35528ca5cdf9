/**
 * One open /dev/fuse on Node's own loop: reads requests in batches, writes replies at once.
 * Knows no operation of the protocol, only where one request ends and the next begins.
 *
 * JavaScript: `new Channel(fd, arena, bounds, head, requestBytes, onBatch, onEnd)`
 *   arena         Uint8Array that receives requests, each at a multiple of 8
 *   bounds        Uint32Array: start and end of request i at [2i] and [2i+1]
 *   head          Uint8Array in which the caller writes a reply's header and what follows it
 *   requestBytes  room that one read needs: the kernel refuses less than the largest request
 *   onBatch(n)    n requests lie in the arena, until it returns
 *   onEnd(errno)  no request will come: ENODEV after an unmount; called once
 * Methods: `reply(headBytes, payload?)` → 0 or errno, `notify(messages)` → promise, `close()`.
 */
#ifndef WIRE_CHANNEL_H_
#define WIRE_CHANNEL_H_

#include <node_api.h>
#include <stdint.h>

#include <memory>

#include "linger.h"
#include "napi-values.h"
#include "notifier.h"
#include "unique-fd.h"
#include "uv-poll.h"

namespace wire {

class Channel {
 public:
  /** Adds the class to `exports`. */
  static bool Define(napi_env env, napi_value exports);

 private:
  explicit Channel(napi_env env) : env_(env) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  static napi_value Construct(napi_env env, napi_callback_info info);
  static void DefineReply(napi_env env, napi_value self, Channel* channel);
  static napi_value Reply(napi_env env, napi_callback_info info);
  static napi_value Notify(napi_env env, napi_callback_info info);
  static napi_value Close(napi_env env, napi_callback_info info);
  static Channel* Of(napi_env env, napi_value self);

  bool StartPolling();
  static void OnReadable(uv_poll_s* handle, int status, int events);
  static void OnHandleClosed(uv_handle_s* handle);
  static void OnEnvironmentCleanup(napi_async_cleanup_hook_handle handle, void* channel);
  static void OnCollected(napi_env env, void* channel, void*);

  enum class Round { kMore, kDrained, kEnded };
  uint32_t NextLimit();
  Round ReadBatch(uint32_t limit, uint32_t* count, int* error);
  void Serve();
  void Call(napi_ref callback, uint32_t argument);
  void Shut();
  void DeleteIfUnused();

  napi_env env_;
  std::shared_ptr<UniqueFd> device_;
  std::unique_ptr<Notifier> notifier_;
  uv_poll_s* poll_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;

  Bytes arena_;
  Bytes bounds_;
  Bytes head_;
  size_t request_bytes_ = 0;
  /** Whether the last batch held more than one request. */
  bool many_ = false;
  uint32_t singles_ = 0;
  Linger linger_;
  /** Keep the memory above, and the callbacks, from being collected while open. */
  napi_ref references_[5] = {};

  /** The object lives until JavaScript has dropped it and the loop has let go of the handle. */
  bool collected_ = false;
  bool handle_gone_ = true;
};

}  // namespace wire

#endif
