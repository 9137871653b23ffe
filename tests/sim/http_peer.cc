#include "tests/sim/http_peer.h"

#include <charconv>
#include <utility>

namespace terrazzo::sim {
namespace {

constexpr std::uint64_t kPatience = 20 * kSecond;

}  // namespace

void HttpPeer::request(Machine& machine, Network& network, std::string method, std::string target, std::string body,
                       Done done) {
  const std::shared_ptr<HttpPeer> peer(new HttpPeer(network, std::move(done)));
  peer->text_ = method + " " + target +
                " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n" +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  peer->self_ = peer;
  peer->link_ = network.dial(*peer);
  machine.schedule.after(kPatience, [here = std::weak_ptr<HttpPeer>(peer)] {
    if (const auto there = here.lock()) there->finish(0, {});
  });
}

void HttpPeer::on_connected() {
  network_.send(link_, std::as_bytes(std::span(text_)));
}

void HttpPeer::on_bytes(std::span<const std::byte> bytes) {
  answer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t head = answer_.find("\r\n\r\n");
  if (head == std::string::npos) return;
  std::size_t length = 0;
  if (const std::size_t at = answer_.find("Content-Length: "); at != std::string::npos && at < head)
    std::from_chars(answer_.data() + at + 16, answer_.data() + head, length);
  if (answer_.size() < head + 4 + length) return;
  unsigned status = 0;
  std::from_chars(answer_.data() + 9, answer_.data() + 12, status);
  finish(status, answer_.substr(head + 4, length));
}

void HttpPeer::on_lost() {
  link_ = 0;
  finish(0, {});
}

void HttpPeer::finish(unsigned status, const std::string& body) {
  const std::shared_ptr<HttpPeer> last = std::exchange(self_, nullptr);
  if (!last) return;
  if (link_ != 0) network_.close(std::exchange(link_, 0));
  done_(status, body);
}

}  // namespace terrazzo::sim
