// CPU memory: a caching allocator of 64-byte-aligned blocks for libtorch, its counters, and private mappings of files.
//
// Why our own: glibc hands large blocks back to the system and faults them in again at every step (page clearing took up
// to a third of a step), or keeps fragments that no counter explains. Here every byte is counted, blocks are reused by
// size, and what is cached is bounded.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/CPUAllocator.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "addon.h"

namespace camelid {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLarge = size_t{1} << 20;  // from here on blocks come from mmap, with huge pages where there are any
constexpr size_t kCachedFloor = size_t{256} << 20;
constexpr size_t kMostBytes = size_t{1} << 48;  // no machine has more, and sums of sizes below stay exact

// The header sits in the 64 bytes before the data, so that a block can be freed by its address alone.
struct Header {
  size_t blockBytes;      // usable bytes after the header
  size_t requestedBytes;
};
static_assert(sizeof(Header) <= kAlignment);

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
    shrinkTo(0);
  }

  std::atomic<size_t> liveBytes{0}, peakBytes{0}, reservedBytes{0}, peakReservedBytes{0};

 private:
  static void deleter(void* data);

  // Sizes are rounded so that near misses reuse a block: to 64 bytes when small, to an eighth of the power of two above.
  static size_t roundUp(size_t bytes) {
    size_t step = kAlignment;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
  }

  void* take(size_t bytes) {
    TORCH_CHECK(bytes <= kMostBytes, "out of CPU memory: a tensor of ", bytes, " bytes was asked for");
    const size_t blockBytes = roundUp(bytes);
    char* block = fromCache(blockBytes);
    if (block == nullptr) block = fresh(blockBytes);
    reinterpret_cast<Header*>(block)->requestedBytes = bytes;
    raise(peakBytes, liveBytes += bytes);
    return block + kAlignment;
  }

  void give(void* data) {
    char* block = static_cast<char*>(data) - kAlignment;
    const auto* header = reinterpret_cast<Header*>(block);
    liveBytes -= header->requestedBytes;
    std::lock_guard<std::mutex> lock(mutex_);
    free_.emplace(header->blockBytes, block);
    cachedBytes_ += header->blockBytes;
    const size_t limit = std::max(kCachedFloor, peakBytes.load() / 2);
    if (cachedBytes_ > limit) shrinkTo(limit / 2);
  }

  char* fromCache(size_t blockBytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = free_.lower_bound(blockBytes);
    // A block up to a quarter larger than needed is better than new memory.
    if (found == free_.end() || found->first > blockBytes + blockBytes / 4) return nullptr;
    char* block = found->second;
    cachedBytes_ -= found->first;
    free_.erase(found);
    return block;
  }

  char* fresh(size_t blockBytes) {
    makeRoom(blockBytes);
    const size_t total = blockBytes + kAlignment;
    void* block = fromSystem(total);
    if (block == nullptr) {
      emptyCache();
      block = fromSystem(total);
    }
    TORCH_CHECK(block != nullptr, "out of CPU memory: ", total, " more bytes were asked for, ", liveBytes.load(),
                " are in live tensors");
    static_cast<Header*>(block)->blockBytes = blockBytes;
    raise(peakReservedBytes, reservedBytes += blockBytes);
    return static_cast<char*>(block);
  }

  // Reserved memory stays near the peak of live memory: cached blocks beyond it, of sizes that do not fit, go first.
  void makeRoom(size_t blockBytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    const size_t most = peakBytes.load() + kCachedFloor / 4;
    const size_t wanted = reservedBytes.load() + blockBytes;
    if (wanted > most) shrinkTo(cachedBytes_ - std::min(cachedBytes_, wanted - most));
  }

  static void* fromSystem(size_t total) {
    void* block = nullptr;
    if (total < kLarge + kAlignment) return posix_memalign(&block, kAlignment, total) == 0 ? block : nullptr;
    block = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(block, total, MADV_HUGEPAGE);
#endif
    return block;
  }

  // Largest first: few calls give back the most. The caller holds the lock.
  void shrinkTo(size_t limit) {
    while (cachedBytes_ > limit && !free_.empty()) {
      const auto last = std::prev(free_.end());
      const size_t blockBytes = last->first;
      if (blockBytes >= kLarge) munmap(last->second, blockBytes + kAlignment);
      else std::free(last->second);
      free_.erase(last);
      cachedBytes_ -= blockBytes;
      reservedBytes -= blockBytes;
    }
  }

  static void raise(std::atomic<size_t>& peak, size_t value) {
    size_t seen = peak.load();
    while (seen < value && !peak.compare_exchange_weak(seen, value)) {
    }
  }

  std::mutex mutex_;
  std::multimap<size_t, char*> free_;
  size_t cachedBytes_ = 0;
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
  exportFunction<resetPeakMemory>(exports, "resetPeakMemory");
  exportFunction<emptyCache>(exports, "emptyCache");
  exportFunction<mapTensors>(exports, "mapTensors");
}

}  // namespace camelid
