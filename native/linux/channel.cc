#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vector>

namespace wire {
namespace {

/** Requests handed to JavaScript in one call: 4 are too few, with more the first waits longer for its answer. */
constexpr uint32_t kBatchRequests = 16;
/** Batches in one turn of the loop, so that a flood of requests leaves room for sockets and timers. */
constexpr int kBatchesPerWake = 64;
/** While requests come one at a time, how often to look whether another waits behind one. */
constexpr uint32_t kProbeEvery = 8;
/** Pieces of one reply; IOV_MAX is 1024 on Linux. */
constexpr uint32_t kMaxPieces = 1023;
/** JavaScript reads the fields as aligned words. */
constexpr size_t kAlignment = 8;

enum Reference { kArena, kBounds, kHead, kOnBatch, kOnEnd };

ssize_t WriteAll(int fd, const iovec* pieces, int count) {
  ssize_t written;
  do {
    written = count == 1 ? ::write(fd, pieces->iov_base, pieces->iov_len)
                         : ::writev(fd, pieces, count);
  } while (written < 0 && errno == EINTR);
  return written;
}

}  // namespace

bool Channel::Define(napi_env env, napi_value exports) {
  const napi_property_descriptor methods[] = {
      {"notify", nullptr, Notify, nullptr, nullptr, nullptr, napi_default_method, nullptr},
      {"close", nullptr, Close, nullptr, nullptr, nullptr, napi_default_method, nullptr},
  };
  napi_value constructor = nullptr;
  return napi_define_class(env, "Channel", NAPI_AUTO_LENGTH, Construct, nullptr,
                           sizeof methods / sizeof *methods, methods, &constructor) == napi_ok &&
         napi_set_named_property(env, exports, "Channel", constructor) == napi_ok;
}

Channel::~Channel() { free(poll_); }

napi_value Channel::Construct(napi_env env, napi_callback_info info) {
  Arguments<7> args(env, info);
  std::unique_ptr<Channel, void (*)(Channel*)> channel(new Channel(env),
                                                       [](Channel* c) { delete c; });
  const int fd = args.Int(0);
  channel->arena_ = args.View(1);
  channel->bounds_ = args.View(2);
  channel->head_ = args.View(3);
  channel->request_bytes_ = args.Uint(4);
  if (!args.ok()) return nullptr;
  if (channel->request_bytes_ > channel->arena_.length ||
      channel->bounds_.length < kBatchRequests * 2 * sizeof(uint32_t)) {
    napi_throw_range_error(env, nullptr, "wire addon: arena or bounds too small");
    return nullptr;
  }
  channel->device_ = std::make_shared<UniqueFd>(fd);
  channel->notifier_.reset(new Notifier(channel->device_));
  if (!channel->StartPolling()) {
    // The caller still owns the descriptor of a channel that could not be made.
    channel->device_->release();
    napi_throw_error(env, nullptr, "wire addon: cannot watch /dev/fuse on the event loop");
    return nullptr;
  }
  const size_t kept[] = {1, 2, 3, 5, 6};
  for (size_t at = 0; at < 5; at++) {
    napi_create_reference(env, args.value(kept[at]), 1, &channel->references_[at]);
  }
  napi_wrap(env, args.self(), channel.get(), OnCollected, nullptr, nullptr);
  DefineReply(env, args.self(), channel.get());
  napi_add_async_cleanup_hook(env, OnEnvironmentCleanup, channel.get(), &channel->cleanup_);
  channel.release();
  return args.self();
}

/**
 * A method finds its channel by a search of the object's private properties, which every answer
 * would pay for. This function knows it, and keeps the object: it cannot be called once the
 * channel is gone.
 */
void Channel::DefineReply(napi_env env, napi_value self, Channel* channel) {
  napi_value reply = nullptr;
  napi_create_function(env, "reply", NAPI_AUTO_LENGTH, Reply, channel, &reply);
  napi_set_named_property(env, reply, "channel", self);
  napi_set_named_property(env, self, "reply", reply);
}

bool Channel::StartPolling() {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return false;
  poll_ = static_cast<uv_poll_s*>(calloc(1, uv_handle_size(UV_POLL)));
  if (poll_ == nullptr || uv_poll_init(loop, poll_, device_->get()) != 0) return false;
  handle_gone_ = false;
  uv_handle_set_data(reinterpret_cast<uv_handle_s*>(poll_), this);
  // Fails only on a handle that is closing; this one was made just now.
  uv_poll_start(poll_, UV_READABLE, OnReadable);
  return true;
}

Channel* Channel::Of(napi_env env, napi_value self) {
  void* channel = nullptr;
  if (napi_unwrap(env, self, &channel) != napi_ok) {
    napi_throw_type_error(env, nullptr, "wire addon: not a Channel");
  }
  return static_cast<Channel*>(channel);
}

/** libuv reports an unmounted device as an error of the poll; read(2) then says ENODEV. */
void Channel::OnReadable(uv_poll_s* handle, int, int) {
  auto* base = reinterpret_cast<uv_handle_s*>(handle);
  static_cast<Channel*>(uv_handle_get_data(base))->Serve();
}

void Channel::Serve() {
  for (int batch = 0; batch < kBatchesPerWake && device_ != nullptr;) {
    uint32_t count = 0;
    int error = 0;
    const Round round = ReadBatch(NextLimit(), &count, &error);
    if (count > 0) {
      batch++;
      many_ = count > 1;
      linger_.Arrived();
      Call(references_[kOnBatch], count);
    }
    // Who was answered may have asked again: a read that finds nothing is cheaper than a turn.
    if (round == Round::kDrained && count == 0 && !linger_.GoOn()) return;
    if (round == Round::kEnded) {
      // A callback may have closed the channel meanwhile: then nobody asks for the end.
      if (device_ == nullptr) return;
      uv_poll_stop(poll_);
      Call(references_[kOnEnd], static_cast<uint32_t>(error));
      return;
    }
  }
}

/**
 * One client waits for each answer before it asks again: a read(2) ahead finds nothing, and delays
 * the answer. The read after the answer finds the next request, if the client was that fast.
 */
uint32_t Channel::NextLimit() {
  if (many_) return kBatchRequests;
  singles_ = (singles_ + 1) % kProbeEvery;
  return singles_ == 0 ? kBatchRequests : 1;
}

Channel::Round Channel::ReadBatch(uint32_t limit, uint32_t* count, int* error) {
  auto* bounds = reinterpret_cast<uint32_t*>(bounds_.start);
  size_t at = 0;
  while (*count < limit && at + request_bytes_ <= arena_.length) {
    const ssize_t length = ::read(device_->get(), arena_.start + at, arena_.length - at);
    if (length < 0) {
      if (errno == EAGAIN) return Round::kDrained;
      // ENOENT: the request was interrupted before we could take it.
      if (errno == EINTR || errno == ENOENT) continue;
      *error = errno;
      return Round::kEnded;
    }
    bounds[*count * 2] = static_cast<uint32_t>(at);
    bounds[*count * 2 + 1] = static_cast<uint32_t>(at + length);
    *count += 1;
    at = (at + length + kAlignment - 1) & ~(kAlignment - 1);
  }
  return Round::kMore;
}

void Channel::Call(napi_ref callback, uint32_t argument) {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value global = nullptr;
  napi_value function = nullptr;
  napi_value number = nullptr;
  napi_get_global(env_, &global);
  napi_get_reference_value(env_, callback, &function);
  napi_create_uint32(env_, argument, &number);
  // Also runs the microtasks, so that promises which are settled answer within this turn.
  napi_make_callback(env_, nullptr, global, function, 1, &number, nullptr);
  bool pending = false;
  napi_is_exception_pending(env_, &pending);
  if (pending) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(env_, &exception);
    napi_fatal_exception(env_, exception);
  }
  napi_close_handle_scope(env_, scope);
}

napi_value Channel::Reply(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  auto* channel = static_cast<Channel*>(args.data());
  const size_t head_bytes = args.Uint(0);
  if (!args.ok()) return nullptr;
  if (channel->device_ == nullptr) return Int(env, ENODEV);
  if (head_bytes > channel->head_.length) return Int(env, EINVAL);

  iovec pieces[2] = {{channel->head_.start, head_bytes}, {nullptr, 0}};
  Bytes payload;
  napi_valuetype type = napi_undefined;
  napi_typeof(env, args.value(1), &type);
  if (type == napi_undefined) {
    return Int(env, WriteAll(channel->device_->get(), pieces, 1) < 0 ? errno : 0);
  }
  if (Arguments<2>::ViewOf(env, args.value(1), &payload) == napi_ok) {
    pieces[1] = {payload.start, payload.length};
    return Int(env, WriteAll(channel->device_->get(), pieces, 2) < 0 ? errno : 0);
  }
  uint32_t count = 0;
  if (napi_get_array_length(env, args.value(1), &count) != napi_ok || count > kMaxPieces) {
    return Int(env, EINVAL);
  }
  std::vector<iovec> all(1, pieces[0]);
  for (uint32_t at = 0; at < count; at++) {
    napi_value piece = nullptr;
    napi_get_element(env, args.value(1), at, &piece);
    if (Arguments<2>::ViewOf(env, piece, &payload) != napi_ok) return Int(env, EINVAL);
    all.push_back({payload.start, payload.length});
  }
  const int length = static_cast<int>(all.size());
  return Int(env, WriteAll(channel->device_->get(), all.data(), length) < 0 ? errno : 0);
}

napi_value Channel::Notify(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Channel* channel = Of(env, args.self());
  const Bytes messages = args.View(0);
  if (channel == nullptr || !args.ok()) return nullptr;
  if (channel->notifier_ == nullptr) {
    napi_throw_error(env, nullptr, "wire addon: the channel is closed");
    return nullptr;
  }
  return channel->notifier_->Send(
      env, std::vector<uint8_t>(messages.start, messages.start + messages.length));
}

napi_value Channel::Close(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Channel* channel = Of(env, args.self());
  if (channel != nullptr) channel->Shut();
  return nullptr;
}

/** Stops watching and closes the device: a mount that is still there answers ENOTCONN from now on. */
void Channel::Shut() {
  if (device_ == nullptr) return;
  // First the handle: libuv takes the descriptor out of epoll, which must still be this file.
  uv_close(reinterpret_cast<uv_handle_s*>(poll_), OnHandleClosed);
  notifier_.reset();
  device_.reset();
  for (napi_ref& reference : references_) {
    if (reference != nullptr) napi_delete_reference(env_, reference);
    reference = nullptr;
  }
}

void Channel::OnHandleClosed(uv_handle_s* handle) {
  auto* channel = static_cast<Channel*>(uv_handle_get_data(handle));
  channel->handle_gone_ = true;
  if (channel->cleanup_ != nullptr) napi_remove_async_cleanup_hook(channel->cleanup_);
  channel->cleanup_ = nullptr;
  channel->DeleteIfUnused();
}

/** The environment ends (exit of the process or of a worker) and waits for OnHandleClosed. */
void Channel::OnEnvironmentCleanup(napi_async_cleanup_hook_handle, void* data) {
  static_cast<Channel*>(data)->Shut();
}

void Channel::OnCollected(napi_env, void* data, void*) {
  auto* channel = static_cast<Channel*>(data);
  channel->collected_ = true;
  channel->Shut();
  channel->DeleteIfUnused();
}

void Channel::DeleteIfUnused() {
  if (collected_ && handle_gone_) delete this;
}

}  // namespace wire
