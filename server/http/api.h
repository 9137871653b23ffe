#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "map/world.h"
#include "server/net/network.h"

namespace terrazzo::http {

// What the endpoints need of the node. Answers may come later, on the same core; `done` is called exactly once.
class ApiServices {
 public:
  virtual ~ApiServices() = default;
  enum class Right : std::uint8_t { read, write };
  // Judges the value of the Authorization header.
  virtual Status authorize(std::string_view authorization, Right right) = 0;
  virtual std::vector<std::shared_ptr<const map::World>> worlds() = 0;
  virtual std::shared_ptr<const map::World> find_world(std::string_view name_or_id) = 0;
  using WorldDone = std::function<void(Result<std::shared_ptr<const map::World>>)>;
  virtual void create_world(map::World world, WorldDone done) = 0;
  using Done = std::function<void(Status)>;
  virtual void put_asset(WorldId world, std::string hash, std::string bytes, Done done) = 0;
  using BytesDone = std::function<void(Result<std::string>)>;
  virtual void get_asset(WorldId world, std::string hash, BytesDone done) = 0;
  // Where cells were ever written: the positions of the world's shard files.
  using ShardsDone = std::function<void(Result<std::vector<map::ShardPos>>)>;
  virtual void list_shards(WorldId world, ShardsDone done) = 0;
  // Of all cores, in Prometheus' text form.
  virtual void metrics(std::function<void(std::string)> done) = 0;
  virtual bool ready() = 0;
};

// The HTTP endpoints of one core (docs/http.md). Errors are RFC 9457 problem documents.
class Api {
 public:
  explicit Api(ApiServices& services) : services_(services) {}
  using Respond = std::function<void(net::HttpResponse)>;
  void handle(const net::HttpRequest& request, Respond respond);

 private:
  void worlds(const net::HttpRequest& request, Respond respond);
  void world(const net::HttpRequest& request, std::string_view name, Respond respond);
  void asset(const net::HttpRequest& request, std::string_view name, std::string_view hash, Respond respond);
  void shards(const net::HttpRequest& request, std::string_view name, Respond respond);

  ApiServices& services_;
};

unsigned http_status(ErrorCode code);
net::HttpResponse problem(const Error& error);
// Decodes %XX; an error names the place.
Result<std::string> percent_decode(std::string_view text);

}  // namespace terrazzo::http
