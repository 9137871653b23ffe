# Compile options and the two functions every folder uses: terrazzo_library and terrazzo_test.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Own asserts (base/assert.h) stay on in every build type; NDEBUG only reaches the libraries' own.
option(TERRAZZO_TESTS "build the tests" ON)
set(TERRAZZO_SANITIZE "" CACHE STRING "address;undefined or thread")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_library(terrazzo_options INTERFACE)
target_compile_options(terrazzo_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -fno-omit-frame-pointer)
# Warnings are errors where the tree is worked on. Other compilers and levels see other things: who only builds, switches it off.
option(TERRAZZO_WERROR "warnings are errors" ON)
if(TERRAZZO_WERROR)
  target_compile_options(terrazzo_options INTERFACE -Werror)
endif()
target_include_directories(terrazzo_options INTERFACE ${CMAKE_SOURCE_DIR})
if(TERRAZZO_SANITIZE)
  string(REPLACE ";" "," sanitizers "${TERRAZZO_SANITIZE}")
  add_compile_options(-fsanitize=${sanitizers} -g)
  add_link_options(-fsanitize=${sanitizers})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-maybe-uninitialized)  # false where the sanitizer's own code is in between, in Boost's headers
  endif()
  if(TERRAZZO_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-tsan)  # Asio's fences: GCC warns that it does not follow them
  endif()
endif()

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)

# terrazzo_library(name [PUBLIC_LIBS lib…] [LIBS lib…] SOURCES file…): a static library, included from the root of the tree.
function(terrazzo_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS;PUBLIC_LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC ${A_PUBLIC_LIBS} PRIVATE $<BUILD_INTERFACE:terrazzo_options> ${A_LIBS})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<INSTALL_INTERFACE:include/terrazzo>)
endfunction()

# terrazzo_test(name SOURCES file… LIBS lib… [EPOLL filter] [TLS filter]): one GoogleTest program; every TEST is a ctest case. Those that the filter
# (of GoogleTest) names run once more, as NAME.epoll, with the server's sockets on epoll; likewise those of TLS filter, as NAME.tls and
# NAME.tls.epoll, with TLS between clients and server.
function(terrazzo_test name)
  cmake_parse_arguments(A "" "TIMEOUT;EPOLL;TLS" "SOURCES;LIBS;LABELS;DEFINITIONS" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE terrazzo_options ${A_LIBS} GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR}/generated)
  target_compile_definitions(${name} PRIVATE ${A_DEFINITIONS})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}")
  if(A_EPOLL)
    gtest_discover_tests(${name} TEST_FILTER "${A_EPOLL}" TEST_SUFFIX .epoll DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT ${A_TIMEOUT} ENVIRONMENT TERRAZZO_IO=epoll LABELS "${A_LABELS}")
  endif()
  if(A_TLS)
    gtest_discover_tests(${name} TEST_FILTER "${A_TLS}" TEST_SUFFIX .tls DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT ${A_TIMEOUT} ENVIRONMENT TERRAZZO_TEST_TLS=auto LABELS "${A_LABELS}")
    gtest_discover_tests(${name} TEST_FILTER "${A_TLS}" TEST_SUFFIX .tls.epoll DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT ${A_TIMEOUT} ENVIRONMENT TERRAZZO_TEST_TLS=epoll LABELS "${A_LABELS}")
  endif()
endfunction()
