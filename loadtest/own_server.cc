#include "loadtest/own_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace terrazzo::loadtest {
namespace {

namespace fs = std::filesystem;

std::string read_line(int fd) {
  std::string line;
  for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) line.push_back(c);
  return line;
}

}  // namespace

Result<std::unique_ptr<OwnServer>> OwnServer::start(const std::string& program, std::vector<std::string> flags) {
  const fs::path binary =
      program.empty() ? fs::canonical("/proc/self/exe").parent_path() / "terrazzo-server" : fs::path(program);
  std::error_code error;
  if (!fs::exists(binary, error))
    return Error{ErrorCode::not_found,
                 fmt::format("there is no {}: say where the server is with --server-program", binary.string())};
  std::string folder = (fs::temp_directory_path() / "terrazzo-load-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    return Error{ErrorCode::internal, fmt::format("no temporary folder {}: {}", folder, std::strerror(errno))};
  std::vector<std::string> words{binary.string(), "--data", folder + "/data", "--auth", "none", "--log-level", "error"};
  words.insert(words.end(), flags.begin(), flags.end());
  std::unique_ptr<OwnServer> server(new OwnServer(std::move(words), folder));
  if (Status launched = server->launch(); !launched) return launched.error();
  return server;
}

OwnServer::~OwnServer() {
  stop(SIGKILL);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Status OwnServer::launch() {
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return Error{ErrorCode::internal, fmt::format("pipe: {}", std::strerror(errno))};
  std::vector<std::string> words = words_;
  words.insert(words.end(), {"--listen", "127.0.0.1:" + std::to_string(port_)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(out[1], STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(out[1]);
  const std::string line = read_line(out[0]);
  ::close(out[0]);
  const std::string expected = "listening on http://127.0.0.1:";
  if (!line.starts_with(expected)) {
    stop(SIGKILL);
    return Error{ErrorCode::internal, "the server did not start; if it said why, its words are above"};
  }
  port_ = static_cast<std::uint16_t>(std::stoi(line.substr(expected.size())));
  return {};
}

void OwnServer::stop(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Status OwnServer::start_again() {
  return launch();
}

Status OwnServer::make_world(const std::string& name) {
  const Result<std::string> made = http_request(
      port_, "POST", "/v1/worlds",
      R"({"name":")" + name + R"(","layers":[{"id":1,"kind":"tile"}],"tilesets":[{"first_tile":1,"tile_count":50}]})");
  return made ? Status() : made.error();
}

Result<std::string> http_request(std::uint16_t port, const std::string& method, const std::string& target,
                                 const std::string& body) {
  const Error none{ErrorCode::overloaded, fmt::format("the server on port {} did not answer {}", port, target)};
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{ErrorCode::internal, fmt::format("socket: {}", std::strerror(errno))};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{30, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", method,
                  target, body.size(), body);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[16384];
    for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  const std::size_t head = answer.find("\r\n\r\n");
  if (head == std::string::npos || answer.size() < 12) return none;
  if (answer[9] != '2')
    return Error{ErrorCode::internal,
                 fmt::format("{} {}: {}", method, target, answer.substr(9, answer.find('\r') - 9))};
  return answer.substr(head + 4);
}

}  // namespace terrazzo::loadtest
