// What the files of the CUDA part give `runtime.cc`.
#pragma once

#include "accelerator.h"

namespace camelid {

c10::intrusive_ptr<c10d::Backend> makeNcclGroup(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                std::chrono::milliseconds timeout);
std::unique_ptr<DeviceGraph> makeGraph(c10::Device device);

}  // namespace camelid
