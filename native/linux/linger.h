#ifndef WIRE_LINGER_H_
#define WIRE_LINGER_H_

#include <sched.h>
#include <stdint.h>
#include <time.h>

namespace wire {

/**
 * Whether to look for a next request a little longer before going back to sleep. A client that
 * waits for each answer asks again within some 10 µs; to be woken for that costs more than twice
 * as much, on both sides. Where nobody comes in time, it is soon tried only now and then.
 */
class Linger {
 public:
  /** Requests are there: they are answered before this is asked again. */
  void Arrived() {
    if (waiting_) misses_ = 0;
    waiting_ = false;
  }

  /** Nothing is there to read. False: go to sleep. */
  bool GoOn() {
    if (!waiting_) {
      if (alone_ || (misses_ >= kMissesToDoubt && ++skipped_ % kTryEvery != 0)) return false;
      waiting_ = true;
      until_ns_ = NowNs() + kWindowNs;
      return true;
    }
    if (NowNs() < until_ns_) return true;
    waiting_ = false;
    misses_++;
    return false;
  }

 private:
  static constexpr int64_t kWindowNs = 50'000;
  static constexpr uint32_t kMissesToDoubt = 4;
  static constexpr uint32_t kTryEvery = 16;

  static int64_t NowNs() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
  }

  /** With one processor the client can only run when we do not. */
  static bool OneProcessor() {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < 2;
  }

  const bool alone_ = OneProcessor();
  bool waiting_ = false;
  uint32_t misses_ = 0;
  uint32_t skipped_ = 0;
  int64_t until_ns_ = 0;
};

}  // namespace wire

#endif
