/**
 * The few functions of libuv that the addon uses, as declared in libuv 1.x `include/uv.h`. Node
 * exports them from its own binary; no header of libuv is needed to compile, and no layout is
 * assumed: a handle is allocated by `uv_handle_size(UV_POLL)`.
 */
#ifndef WIRE_UV_POLL_H_
#define WIRE_UV_POLL_H_

#include <stddef.h>

extern "C" {

struct uv_loop_s;
struct uv_handle_s;
struct uv_poll_s;

typedef void (*uv_poll_cb)(uv_poll_s* handle, int status, int events);
typedef void (*uv_close_cb)(uv_handle_s* handle);

/** `enum uv_handle_type` and `enum uv_poll_event`: fixed by the ABI promise of libuv 1.x. */
enum { UV_POLL = 8 };
enum { UV_READABLE = 1 };

size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_s* handle, void* data);
void* uv_handle_get_data(const uv_handle_s* handle);
void uv_close(uv_handle_s* handle, uv_close_cb done);

int uv_poll_init(uv_loop_s* loop, uv_poll_s* handle, int fd);
int uv_poll_start(uv_poll_s* handle, int events, uv_poll_cb callback);
int uv_poll_stop(uv_poll_s* handle);
}

#endif
