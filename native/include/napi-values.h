/** Values between JavaScript and C++. The callers are our own typed loader, so a wrong argument is
 *  a defect: it throws a TypeError and nothing is done. */
#ifndef WIRE_NAPI_VALUES_H_
#define WIRE_NAPI_VALUES_H_

#include <node_api.h>
#include <stdint.h>

#include <string>

namespace wire {

/** Bytes of a typed array. The memory stays where it is while the array is referenced. */
struct Bytes {
  uint8_t* start = nullptr;
  size_t length = 0;
};

/** The arguments of one call. `ok()` is false once an exception is pending. */
template <size_t kCount>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kCount;
    ok_ = napi_get_cb_info(env, info, &count, values_, &self_, &data_) == napi_ok;
  }

  napi_value self() const { return self_; }
  /** What the function was created with. */
  void* data() const { return data_; }
  napi_value value(size_t at) const { return values_[at]; }
  bool ok() const { return ok_; }

  int32_t Int(size_t at) {
    int32_t number = 0;
    Check(napi_get_value_int32(env_, values_[at], &number));
    return number;
  }

  uint32_t Uint(size_t at) {
    uint32_t number = 0;
    Check(napi_get_value_uint32(env_, values_[at], &number));
    return number;
  }

  std::string String(size_t at) {
    size_t length = 0;
    if (!Check(napi_get_value_string_utf8(env_, values_[at], nullptr, 0, &length))) return {};
    std::string text(length, '\0');
    Check(napi_get_value_string_utf8(env_, values_[at], &text[0], length + 1, &length));
    return text;
  }

  Bytes View(size_t at) {
    Bytes bytes;
    Check(ViewOf(env_, values_[at], &bytes));
    return bytes;
  }

  /** Any typed array; `napi_get_typedarray_info` counts elements, so the width is applied. */
  static napi_status ViewOf(napi_env env, napi_value value, Bytes* bytes) {
    napi_typedarray_type type;
    size_t elements = 0;
    void* start = nullptr;
    const napi_status status =
        napi_get_typedarray_info(env, value, &type, &elements, &start, nullptr, nullptr);
    if (status != napi_ok) return status;
    const size_t width = type == napi_uint8_array ? 1 : type == napi_uint32_array ? 4 : 0;
    if (width == 0) return napi_invalid_arg;
    bytes->start = static_cast<uint8_t*>(start);
    bytes->length = elements * width;
    return napi_ok;
  }

 private:
  bool Check(napi_status status) {
    if (ok_ && status != napi_ok) {
      ok_ = false;
      napi_throw_type_error(env_, nullptr, "wire addon: argument of a wrong type");
    }
    return ok_;
  }

  napi_env env_;
  napi_value values_[kCount] = {};
  napi_value self_ = nullptr;
  void* data_ = nullptr;
  bool ok_ = false;
};

inline napi_value Int(napi_env env, int32_t number) {
  napi_value value = nullptr;
  napi_create_int32(env, number, &value);
  return value;
}

}  // namespace wire

#endif
