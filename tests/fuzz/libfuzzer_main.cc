// One target under libFuzzer; its seeds go into the corpus folder, which is the last argument.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  const std::filesystem::path corpus = (*arguments)[*count - 1];
  if (!std::filesystem::is_directory(corpus)) return 0;
  int number = 0;
  for (const std::string& seed : terrazzo::fuzz::TERRAZZO_FUZZ_TARGET.seeds())
    std::ofstream(corpus / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own: aligned, and ended by a red zone.
  const auto exact = std::make_unique<std::byte[]>(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, exact.get());
  terrazzo::fuzz::TERRAZZO_FUZZ_TARGET.run({exact.get(), size});
  return 0;
}
