// CPU memory: a caching allocator of 64-byte-aligned blocks for libtorch, its counters, and private mappings of files.
//
// Why our own: glibc hands large blocks back to the system and faults them in again at every step (page clearing took up
// to a third of a step), or keeps fragments that no counter explains. Here every byte is counted, large blocks are cut from
// segments that stay, merged again when freed, and what is kept is bounded.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/CPUAllocator.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <utility>

#include "addon.h"

namespace camelid {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLarge = size_t{1} << 20;        // smaller blocks are the C library's
constexpr size_t kSegment = size_t{32} << 20;     // large ones are cut from segments of at least this size
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSlack = size_t{64} << 20;       // segments kept beyond a quarter over the peak
constexpr size_t kMostBytes = size_t{1} << 48;    // no machine has more, and sums of sizes below stay exact

// Stands in the 64 bytes before the data, so that a block can be freed by its address alone. Blocks of a segment lie end to
// end; a free one is merged with free neighbours, so that memory can be used again in other sizes: rows differ in length
// from step to step, and so does every tensor.
struct Block {
  size_t bytes;           // usable, after this header
  size_t requestedBytes;
  Block* previous;        // neighbours in the segment; both null when the block is a whole segment
  Block* next;
  bool isFree;
  bool isLarge;

  char* data() { return reinterpret_cast<char*>(this) + kAlignment; }
  static Block* of(void* data) { return reinterpret_cast<Block*>(static_cast<char*>(data) - kAlignment); }
};
static_assert(sizeof(Block) <= kAlignment);

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &deleter, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &deleter; }
  void copy_data(void* destination, const void* source, std::size_t count) const override {
    default_copy_data(destination, source, count);
  }

  void emptyCache() {
    std::lock_guard<std::mutex> lock(mutex_);
    releaseSegments(0);
  }

  std::atomic<size_t> liveBytes{0}, peakBytes{0}, reservedBytes{0}, peakReservedBytes{0}, smallBytes{0};

 private:
  static void deleter(void* data);
  static size_t roundUp(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

  void* take(size_t bytes) {
    TORCH_CHECK(bytes <= kMostBytes, "out of CPU memory: a tensor of ", bytes, " bytes was asked for");
    const size_t rounded = roundUp(bytes, kAlignment);
    Block* block = rounded < kLarge ? small(rounded) : large(rounded);
    TORCH_CHECK(block != nullptr, "out of CPU memory: ", rounded, " more bytes were asked for, ", liveBytes.load(),
                " are in live tensors");
    block->requestedBytes = bytes;
    raise(peakBytes, liveBytes += bytes);
    return block->data();
  }

  void give(void* data) {
    Block* block = Block::of(data);
    liveBytes -= block->requestedBytes;
    if (!block->isLarge) {
      reservedBytes -= block->bytes;
      smallBytes -= block->bytes;
      std::free(block);
      return;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    block->isFree = true;
    if (block->next != nullptr && block->next->isFree) {
      free_.erase({block->next->bytes, block->next});
      absorbNext(block);
    }
    if (block->previous != nullptr && block->previous->isFree) {
      block = block->previous;
      free_.erase({block->bytes, block});
      absorbNext(block);
    }
    free_.insert({block->bytes, block});
    const size_t peak = peakBytes.load();
    if (reservedBytes.load() > peak + peak / 4 + kSlack) releaseSegments(peak + peak / 4 + kSlack);
  }

  Block* small(size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, bytes + kAlignment) != 0) return nullptr;
    raise(peakReservedBytes, reservedBytes += bytes);
    smallBytes += bytes;
    return new (memory) Block{bytes, 0, nullptr, nullptr, false, false};
  }

  // The smallest free block that is large enough; what is left over stays free.
  Block* large(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = free_.lower_bound({bytes, nullptr});
    if (found == free_.end()) {
      Block* segment = newSegment(bytes);
      if (segment == nullptr) {
        releaseSegments(0);
        segment = newSegment(bytes);
      }
      if (segment == nullptr) return nullptr;
      found = free_.insert({segment->bytes, segment}).first;
    }
    Block* block = found->second;
    free_.erase(found);
    block->isFree = false;
    if (block->bytes >= bytes + kAlignment + kLarge) splitAfter(block, bytes);
    return block;
  }

  void splitAfter(Block* block, size_t bytes) {
    auto* rest = new (block->data() + bytes) Block{block->bytes - bytes - kAlignment, 0, block, block->next, true, true};
    if (rest->next != nullptr) rest->next->previous = rest;
    block->next = rest;
    block->bytes = bytes;
    free_.insert({rest->bytes, rest});
  }

  static void absorbNext(Block* block) {
    Block* next = block->next;
    block->bytes += kAlignment + next->bytes;
    block->next = next->next;
    if (block->next != nullptr) block->next->previous = block;
  }

  Block* newSegment(size_t bytes) {
    const size_t total = std::max(kSegment, roundUp(bytes + kAlignment, kHugePage));
    void* memory = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(memory, total, MADV_HUGEPAGE);
#endif
    raise(peakReservedBytes, reservedBytes += total - kAlignment);
    return new (memory) Block{total - kAlignment, 0, nullptr, nullptr, true, true};
  }

  // Gives whole free segments back, the largest first, until at most `limit` bytes are reserved. The caller holds the lock.
  void releaseSegments(size_t limit) {
    for (auto entry = free_.end(); entry != free_.begin() && reservedBytes.load() > limit;) {
      --entry;
      Block* block = entry->second;
      if (block->previous != nullptr || block->next != nullptr) continue;
      reservedBytes -= block->bytes;
      entry = free_.erase(entry);
      munmap(block, block->bytes + kAlignment);
    }
  }

  static void raise(std::atomic<size_t>& peak, size_t value) {
    size_t seen = peak.load();
    while (seen < value && !peak.compare_exchange_weak(seen, value)) {
    }
  }

  std::mutex mutex_;
  std::set<std::pair<size_t, Block*>> free_;
};

// Never destroyed: tensors may outlive every static object at exit.
CachingAllocator& allocator() {
  static auto* instance = new CachingAllocator();
  return *instance;
}
void CachingAllocator::deleter(void* data) {
  if (data != nullptr) allocator().give(data);
}

const bool installed = [] {
  c10::SetCPUAllocator(&allocator(), /*priority=*/1);
  return true;
}();

Napi::Value memoryStats(const Napi::CallbackInfo& info) {
  Object stats(info.Env());
  const auto& cpu = allocator();
  stats.set("liveBytes", static_cast<double>(cpu.liveBytes));
  stats.set("peakBytes", static_cast<double>(cpu.peakBytes));
  stats.set("reservedBytes", static_cast<double>(cpu.reservedBytes));
  stats.set("peakReservedBytes", static_cast<double>(cpu.peakReservedBytes));
  return stats;
}

// heapStats(): what the C library's heap has taken from the system, free or not, and what of it is in our small blocks
Napi::Value heapStats(const Napi::CallbackInfo& info) {
  Object stats(info.Env());
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 heap = mallinfo2();
  stats.set("heapBytes", static_cast<double>(heap.arena + heap.hblkhd));
#else
  stats.set("heapBytes", 0.0);
#endif
  stats.set("smallTensorBytes", static_cast<double>(allocator().smallBytes));
  return stats;
}

Napi::Value resetPeakMemory(const Napi::CallbackInfo& info) {
  allocator().peakBytes = allocator().liveBytes.load();
  allocator().peakReservedBytes = allocator().reservedBytes.load();
  return info.Env().Undefined();
}

Napi::Value emptyCache(const Napi::CallbackInfo& info) {
  allocator().emptyCache();
  return info.Env().Undefined();
}

struct Mapping {
  Mapping(void* address, size_t bytes) : address(address), bytes(bytes) {}
  Mapping(const Mapping&) = delete;
  ~Mapping() { munmap(address, bytes); }
  void* const address;
  const size_t bytes;
};

std::shared_ptr<Mapping> mapFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  TORCH_CHECK(file >= 0, "cannot open ", path, ": ", std::strerror(errno));
  struct stat status {};
  fstat(file, &status);
  const size_t bytes = static_cast<size_t>(status.st_size);
  // A private writable mapping: pages are shared with the page cache until somebody writes to one.
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  const int problem = errno;
  close(file);
  TORCH_CHECK(address != MAP_FAILED, "cannot map ", path, ": ", std::strerror(problem));
  return std::make_shared<Mapping>(address, bytes);
}

// mapTensors(path, [[offset, bytes, shape, dtype], ...]): tensors over one mapping of the file, which lives as long as they do.
// The caller has checked the ranges against the file; they are checked again because a wrong one would be a crash.
Napi::Value mapTensors(const Napi::CallbackInfo& info) {
  const auto mapping = mapFile(info[0].As<Napi::String>().Utf8Value());
  const Array entries = info[1];
  Array handles(info.Env(), entries.length());
  for (uint32_t i = 0; i < entries.length(); i++) {
    const Array entry = entries.get(i);
    const auto offset = static_cast<size_t>(entry.get(0).As<Napi::Number>().Int64Value());
    const auto bytes = static_cast<size_t>(entry.get(1).As<Napi::Number>().Int64Value());
    const Array dimensions = entry.get(2);
    std::vector<int64_t> shape;
    for (uint32_t d = 0; d < dimensions.length(); d++) shape.push_back(dimensions.get(d).As<Napi::Number>().Int64Value());
    const auto dtype = static_cast<at::ScalarType>(entry.get(3).As<Napi::Number>().Int32Value());
    TORCH_CHECK(offset <= mapping->bytes && bytes <= mapping->bytes - offset, "mapped tensor lies outside its file");
    TORCH_CHECK(c10::multiply_integers(shape) * c10::elementSize(dtype) == bytes, "mapped tensor: shape and bytes differ");
    char* data = static_cast<char*>(mapping->address) + offset;
    at::Tensor tensor = bytes == 0 ? at::empty(shape, at::TensorOptions().dtype(dtype))
                                   : at::from_blob(data, shape, [mapping](void*) {}, at::TensorOptions().dtype(dtype));
    handles.set(i, handleValue(info.Env(), tensor));
  }
  return handles;
}

}  // namespace

void exportMemory(Napi::Object exports) {
  exportFunction<memoryStats>(exports, "memoryStats");
  exportFunction<heapStats>(exports, "heapStats");
  exportFunction<resetPeakMemory>(exports, "resetPeakMemory");
  exportFunction<emptyCache>(exports, "emptyCache");
  exportFunction<mapTensors>(exports, "mapTensors");
}

}  // namespace camelid
