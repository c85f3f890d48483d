// The few types of Gloo that libtorch's ProcessGroupGloo.hpp mentions. Wheels hold Gloo compiled, but not its headers. Nothing
// here is ever made or called by us: pointers to these types pass through, and that needs no more than their names.
#pragma once

#include <chrono>
#include <memory>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {

class Device;

class UnboundBuffer {
 public:
  virtual ~UnboundBuffer() = 0;
};

}  // namespace transport

}  // namespace gloo
