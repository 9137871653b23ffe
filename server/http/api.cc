#include "server/http/api.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/branch_world.h"
#include "map/formats/world_json.h"
#include "server/http/answers.h"
#include "server/http/front_page.h"

namespace terrazzo::http {
namespace {

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back(kDigits[digest[i] >> 4]);
    text.push_back(kDigits[digest[i] & 15]);
  }
  return text;
}

std::optional<identity::Role> role_in(const map::World& world, const identity::WorldRoles& roles) {
  return roles.in(world.name, std::to_string(main_world(world.id).value));
}

// By its first bytes, never by what the sender called it: the answer is shown by browsers.
std::string_view image_type(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return "image/png";
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  if (bytes.starts_with("GIF8")) return "image/gif";
  if (bytes.starts_with("BM")) return "image/bmp";
  if (bytes.size() > 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return "image/webp";
  return {};
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return Error{ErrorCode::bad_message,
                   "the address has a % at " + std::to_string(i) + " without two hex digits after it"};
    }
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

void Api::handle(const net::HttpRequest& request, Respond respond) {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (path == "/healthz") return respond(get ? json_response(200, R"({"status":"ok"})") : wrong_method("GET"));
  if (path == "/readyz") {
    if (!get) return respond(wrong_method("GET"));
    if (!services_.ready())
      return respond(problem({ErrorCode::overloaded, "the server is draining: it takes no new work"}));
    return respond(json_response(200, R"({"status":"ready"})"));
  }
  if (path == "/metrics") {
    if (!get) return respond(wrong_method("GET"));
    return services_.metrics([respond = std::move(respond)](std::string text) {
      respond({.status = 200,
               .content_type = "text/plain; version=0.0.4; charset=utf-8",
               .body = std::move(text),
               .extra_headers = {}});
    });
  }
  if (path == "/") {
    if (!get) return respond(wrong_method("GET"));
    return respond({.status = 200,
                    .content_type = "text/html; charset=utf-8",
                    .body = std::string(kFrontPage),
                    .extra_headers = {}});
  }
  if (path == "/v1/cores") return cores(request, std::move(respond));
  if (path == "/v1/backups") return backups(request, std::move(respond));
  if (path == "/v1/worlds") return worlds(request, std::move(respond));
  constexpr std::string_view kUsers = "/v1/users/";
  if (path.starts_with(kUsers)) return user(request, path.substr(kUsers.size()), std::move(respond));
  constexpr std::string_view kWorlds = "/v1/worlds/";
  if (path.starts_with(kWorlds)) {
    const std::string_view rest = path.substr(kWorlds.size());
    const std::size_t slash = rest.find('/');
    const Result<std::string> name = percent_decode(rest.substr(0, slash));
    if (!name) return respond(problem(name.error()));
    if (slash == std::string_view::npos) return world(request, *name, std::move(respond));
    const std::string_view tail = rest.substr(slash + 1);
    if (tail == "shards") return shards(request, *name, std::move(respond));
    if (tail.starts_with("shards/")) return shard(request, *name, tail.substr(7), std::move(respond));
    if (tail == "versions" || tail.starts_with("versions/"))
      return versions(request, *name, tail.substr(8), std::move(respond));
    if (tail == "branches" || tail.starts_with("branches/"))
      return branches(request, *name, tail.substr(8), std::move(respond));
    if (tail == "claims" || tail.starts_with("claims/"))
      return claims(request, *name, tail.substr(6), std::move(respond));
    if (tail == "history") return history(request, *name, std::move(respond));
    if (tail == "cells") return cells(request, *name, std::move(respond));
    if (tail == "revert") return revert(request, *name, std::move(respond));
    if (tail.starts_with("assets/")) return asset(request, *name, tail.substr(7), std::move(respond));
  }
  respond(problem({ErrorCode::not_found, "nothing lives at " + std::string(path.substr(0, 200)) +
                                             ": there are /v1/ws, /v1/worlds, /healthz, /readyz and /metrics"}));
}

std::optional<Api::Admitted> Api::admit(const net::HttpRequest& request, std::string_view name, Right right,
                                        const Respond& respond) {
  Result<Asker> asker = services_.asker(request.authorization);
  if (!asker) return respond(problem(asker.error())), std::nullopt;
  auto world = services_.find_world(name);
  if (!world) {
    respond(problem({ErrorCode::not_found,
                     "there is no world \"" + std::string(name) + "\": GET /v1/worlds lists those there are"}));
    return std::nullopt;
  }
  const std::optional<identity::Role> role = role_in(*world, asker->roles);
  if (const Status allowed = may(role, right); !allowed) return respond(problem(allowed.error())), std::nullopt;
  return Admitted{std::move(world), std::move(asker->user), *role, std::move(asker->roles)};
}

bool Api::admit_to_server(const net::HttpRequest& request, Right right, const Respond& respond) {
  const Result<Asker> asker = services_.asker(request.authorization);
  const Status allowed = asker ? may(asker->roles.everywhere(), right) : Status(asker.error());
  if (!allowed) respond(problem(allowed.error()));
  return allowed.ok();
}

void Api::worlds(const net::HttpRequest& request, Respond respond) {
  if (request.method != "GET" && request.method != "POST") return respond(wrong_method("GET, POST"));
  const Result<Asker> asker = services_.asker(request.authorization);
  if (!asker) return respond(problem(asker.error()));
  if (request.method == "POST") return create(request, *asker, std::move(respond));
  nlohmann::json list = nlohmann::json::array();
  for (const auto& world : services_.worlds()) {
    const std::optional<identity::Role> role = role_in(*world, asker->roles);
    if (!role) continue;
    nlohmann::json entry{{"id", std::to_string(world->id.value)}, {"name", world->name},
                         {"role", identity::role_name(*role)},    {"layers", world->layers.size()},
                         {"tilesets", world->tilesets.size()},    {"tile_width", world->tile_width},
                         {"tile_height", world->tile_height}};
    if (world->bounds) {
      entry["bounds"] = {world->bounds->x0, world->bounds->y0, world->bounds->width(), world->bounds->height()};
    }
    list.push_back(std::move(entry));
  }
  respond(json_response(200, nlohmann::json{{"worlds", list}}.dump()));
}

void Api::create(const net::HttpRequest& request, const Asker& asker, Respond respond) {
  Result<map::World> world = formats::world_from_json(request.body);
  if (!world) return respond(problem(world.error()));
  // Under a name that the maker has a role for: nobody takes one that others were given rights to.
  if (const Status allowed = may(asker.roles.in(world->name, {}), Right::write); !allowed)
    return respond(problem(allowed.error()));
  services_.create_world(
      *std::move(world), [respond = std::move(respond)](Result<std::shared_ptr<const map::World>> made) {
        if (!made) return respond(problem(made.error()));
        net::HttpResponse response = json_response(201, formats::world_to_json(**made));
        response.extra_headers = "Location: /v1/worlds/" + std::to_string((*made)->id.value) + "\r\n";
        respond(std::move(response));
      });
}

void Api::world(const net::HttpRequest& request, std::string_view name, Respond respond) {
  const bool patch = request.method == "PATCH";
  if (!patch && request.method != "GET") return respond(wrong_method("GET, PATCH"));
  const auto admitted = admit(request, name, patch ? Right::own : Right::read, respond);
  if (!admitted) return;
  const WorldId id = admitted->world->id;
  if (!patch) return respond(json_response(200, formats::world_to_json(*admitted->world)));
  if (line_of(id) != 0) {
    return respond(
        problem({ErrorCode::unsupported, "a branch has the metadata of its world: change those of /v1/worlds/" +
                                             std::to_string(main_world(id).value)}));
  }
  const auto may_be_called = [roles = admitted->roles](const std::string& wanted) {
    return may(roles.in(wanted, {}), Right::write);
  };
  services_.edit_world(id, std::string(request.body), may_be_called,
                       [respond = std::move(respond)](const Result<std::shared_ptr<const map::World>>& changed) {
                         if (!changed) return respond(problem(changed.error()));
                         respond(json_response(200, formats::world_to_json(**changed)));
                       });
}

void Api::shards(const net::HttpRequest& request, std::string_view name, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  const auto admitted = admit(request, name, Right::read, respond);
  if (!admitted) return;
  services_.list_shards(admitted->world->id, [respond = std::move(respond)](Result<std::vector<map::ShardPos>> listed) {
    if (!listed) return respond(problem(listed.error()));
    nlohmann::json list = nlohmann::json::array();
    for (const map::ShardPos shard : *listed) list.push_back({shard.x, shard.y});
    respond(json_response(200, nlohmann::json{{"shards", list}}.dump()));
  });
}

void Api::asset(const net::HttpRequest& request, std::string_view name, std::string_view hash, Respond respond) {
  const bool put = request.method == "PUT";
  if (!put && request.method != "GET") return respond(wrong_method("GET, PUT"));
  const auto admitted = admit(request, name, put ? Right::write : Right::read, respond);
  if (!admitted) return;
  const auto& world = admitted->world;
  if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return respond(
        problem({ErrorCode::bad_message, "an asset is named by the SHA-256 of its bytes in 64 lower-case hex digits"}));
  }
  if (put) {
    if (const std::string is = sha256_hex(request.body); is != hash) {
      return respond(
          problem({ErrorCode::bad_message, "the SHA-256 of the body is " + is + ", not the name it was put under"}));
    }
    if (image_type(request.body).empty()) {
      return respond(
          problem({ErrorCode::unsupported, "an asset is a PNG, JPEG, GIF, BMP or WebP image; this is none"}));
    }
    return services_.put_asset(world->id, std::string(hash), std::string(request.body),
                               [respond = std::move(respond)](Status status) {
                                 respond(status ? json_response(201, "{}") : problem(status.error()));
                               });
  }
  services_.get_asset(world->id, std::string(hash), [respond = std::move(respond)](Result<std::string> bytes) {
    if (!bytes) return respond(problem(bytes.error()));
    const std::string type(image_type(*bytes));
    respond(
        {.status = 200,
         .content_type = type.empty() ? "application/octet-stream" : type,
         .body = *std::move(bytes),
         .extra_headers = "Cache-Control: public, max-age=31536000, immutable\r\nX-Content-Type-Options: nosniff\r\n"});
  });
}

}  // namespace terrazzo::http
