#include "server_process.h"
#include "tests/test_paths.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace terrazzo::integration {
namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void become(std::vector<std::string> words) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> argv = pointers(words);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line.push_back(c);
  return line;
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  std::string pattern = (parent / "terrazzo-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary folder at " << pattern;
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ServerProcess::ServerProcess(const std::filesystem::path& data, std::vector<std::string> flags, std::uint16_t port,
                             bool must_start, const std::function<bool()>& before_exec)
    : log_(data.string() + ".log") {
  int out[2];
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  std::vector<std::string> words{TERRAZZO_BIN_DIR "/terrazzo-server", "--data", data.string(), "--listen",
                                 "127.0.0.1:" + std::to_string(port)};
  words.insert(words.end(), flags.begin(), flags.end());
  if (std::find(words.begin(), words.end(), "--auth") == words.end()) words.insert(words.end(), {"--auth", "none"});
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (before_exec && !before_exec()) ::_exit(126);
    become(words);
  }
  ::close(out[1]);
  const std::string line = read_line(out[0]);
  ::close(out[0]);
  tls_ = line.starts_with("listening on https");
  const std::string expected = std::string("listening on ") + (tls_ ? "https" : "http") + "://127.0.0.1:";
  if (!line.starts_with(expected)) {
    if (must_start) ADD_FAILURE() << "the server did not start: \"" << line << "\"; its log:\n" << this->log();
    kill();
    return;
  }
  port_ = static_cast<std::uint16_t>(std::stoi(line.substr(expected.size())));
}

ServerProcess::~ServerProcess() {
  kill();
}

void ServerProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int ServerProcess::terminate() {
  if (pid_ <= 0) return -1;
  ::kill(pid_, SIGTERM);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

std::string ServerProcess::log() const {
  std::ifstream file(log_);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Ran run_program(const std::string& program, const std::vector<std::string>& arguments,
                const std::vector<std::string>& environment) {
  int out[2];
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(out[1], STDERR_FILENO);
    for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    become(words);
  }
  ::close(out[1]);
  Ran ran;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(out[0], buffer, sizeof buffer)) > 0;)
    ran.output.append(buffer, static_cast<std::size_t>(n));
  ::close(out[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

}  // namespace terrazzo::integration
