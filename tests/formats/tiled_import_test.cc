#include <gtest/gtest.h>

#include <string>

#include "map/formats/tiled.h"

namespace terrazzo::formats {
namespace {

const FileReader kNoFiles = [](const std::string& path) -> Result<std::string> {
  return Error{ErrorCode::not_found, "no file " + path};
};

std::string map_with(const std::string& data, const std::string& encoding,
                     const std::string& tileset =
                         "<tileset firstgid=\"1\" name=\"t\" "
                         "tilewidth=\"16\" tileheight=\"16\" tilecount=\"10\" columns=\"5\"/>") {
  return "<map orientation=\"orthogonal\" width=\"2\" height=\"2\" tilewidth=\"16\" tileheight=\"16\" infinite=\"0\">" +
         tileset + "<layer id=\"1\" name=\"g\" width=\"2\" height=\"2\"><data " + encoding + ">" + data +
         "</data></layer></map>";
}

TEST(TiledImport, CellsKeepTheirFlipsAndTilesetsGetTheirPlace) {
  const std::string tilesets =
      "<tileset firstgid=\"1\" name=\"a\" tilewidth=\"16\" tileheight=\"16\" tilecount=\"10\" columns=\"5\"/>"
      "<tileset firstgid=\"101\" name=\"b\" tilewidth=\"16\" tileheight=\"16\" tilecount=\"4\" columns=\"2\"/>";
  const auto map = import_tiled(map_with("0,1,101,2147483750", "encoding=\"csv\"", tilesets), "m.tmx", kNoFiles);
  ASSERT_TRUE(map.ok()) << map.error().message;
  const std::vector<map::Cell>& cells = map->layers[0].blocks[0].cells;
  EXPECT_EQ(cells[1].bits, 1u);
  EXPECT_EQ(cells[2].bits, 11u);  // b starts behind a's ten tiles
  EXPECT_EQ(cells[3].bits, 12u | map::Cell::kFlipHorizontal);
}

struct Wrong {
  const char* name;
  std::string text, said;
};

TEST(TiledImport, SaysWhatIsWrong) {
  const Wrong cases[] = {
      {"empty", "", "empty"},
      {"not a map", "<svg/>", "root element"},
      {"cut", "<map><layer>", "XML"},
      {"csv words", map_with("1,x,3,4", "encoding=\"csv\""), "not a number"},
      {"csv short", map_with("1,2,3", "encoding=\"csv\""), "3 cells where 4"},
      {"csv without commas", map_with("1 2", "encoding=\"csv\""), "comma"},
      {"base64", map_with("!!!!", "encoding=\"base64\""), "base64"},
      {"compression", map_with("AAAA", "encoding=\"base64\" compression=\"lzma\""), "lzma"},
      {"encoding", map_with("AAAA", "encoding=\"rot13\""), "rot13"},
      {"no such tile", map_with("1,2,3,44", "encoding=\"csv\""), "tile 44"},
      {"width", "<map width=\"x\" height=\"2\"/>", "width"},
      {"orientation", "<map orientation=\"round\" width=\"2\" height=\"2\"/>", "round"},
      {"missing tileset", map_with("0,0,0,0", "encoding=\"csv\"", "<tileset firstgid=\"1\" source=\"nowhere.tsx\"/>"),
       "nowhere.tsx"},
      {"too large",
       "<map orientation=\"orthogonal\" width=\"2000000\" height=\"2000000\" tilewidth=\"1\" tileheight=\"1\"/>",
       "at most"},
      {"json", "{\"layers\":3}", "not a Tiled map"},
      {"json syntax", "{", "m.tmx"},
  };
  for (const Wrong& c : cases) {
    const auto map = import_tiled(c.text, "m.tmx", kNoFiles);
    ASSERT_FALSE(map.ok()) << c.name;
    EXPECT_NE(map.error().message.find(c.said), std::string::npos) << c.name << ": " << map.error().message;
  }
}

TEST(TiledImport, ABombIsNotUnpacked) {
  // zlib of 16 MiB of zeros in a map of four cells.
  std::string small;
  {
    const std::string zeros(16, '\0');
    small = map_with(
        "eJztwTEBAAAAwqD1T20ND6AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "encoding=\"base64\" compression=\"zlib\"");
  }
  EXPECT_FALSE(import_tiled(small, "m.tmx", kNoFiles).ok());
}

TEST(TiledImport, PropertiesAndObjectsAreKept) {
  const std::string text =
      "<map orientation=\"orthogonal\" width=\"2\" height=\"2\" tilewidth=\"16\" tileheight=\"16\" "
      "backgroundcolor=\"#102030\">"
      "<properties><property name=\"mood\" value=\"calm\"/><property name=\"n\" type=\"int\" value=\"7\"/></properties>"
      "<tileset firstgid=\"1\" name=\"t\" tilewidth=\"16\" tileheight=\"16\" tilecount=\"10\" columns=\"5\"><tile "
      "id=\"3\" type=\"door\"/></tileset>"
      "<group id=\"9\" name=\"all\"><objectgroup id=\"2\" name=\"o\"><object id=\"1\" gid=\"4\" x=\"1.5\" y=\"2\" "
      "width=\"16\" height=\"16\"/>"
      "<object id=\"2\" x=\"0\" y=\"0\"><polygon points=\"0,0 5,5 -3,4.5\"/></object></objectgroup></group></map>";
  const auto map = import_tiled(text, "m.tmx", kNoFiles);
  ASSERT_TRUE(map.ok()) << map.error().message;
  ASSERT_EQ(map->world.layers.size(), 2u);
  EXPECT_EQ(map->world.layers[1].parent, map->world.layers[0].id);
  const auto exported = export_tmx(map->world, source_of(*map));
  ASSERT_TRUE(exported.ok());
  for (const char* kept : {"backgroundcolor=\"#102030\"", "value=\"calm\"", "type=\"int\" value=\"7\"", "type=\"door\"",
                           "gid=\"4\"", "points=\"0,0 5,5 -3,4.5\"", "x=\"1.5\""})
    EXPECT_NE(exported->find(kept), std::string::npos) << kept << "\n" << *exported;
}

// A map from somewhere else could name a private file as its image, and an upload would publish it.
TEST(TiledImport, WhatIsNoImageIsNotTaken) {
  const std::string text = map_with("0,0,0,0", "encoding=\"csv\"",
                                    "<tileset firstgid=\"1\" name=\"t\" tilewidth=\"16\" tileheight=\"16\" "
                                    "tilecount=\"1\" columns=\"1\"><image source=\"../../etc/passwd\"/></tileset>");
  const std::string not_images[] = {"root:x:0:0:root:/root:/bin/bash\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n",
                                    "BM is how this note of more than twenty-six bytes begins; it is no bitmap", "GIF",
                                    ""};
  for (const std::string& bytes : not_images) {
    const auto map = import_tiled(text, "m.tmx", [&](const std::string&) -> Result<std::string> { return bytes; });
    ASSERT_FALSE(map.ok()) << bytes;
    EXPECT_NE(map.error().message.find("../../etc/passwd"), std::string::npos) << map.error().message;
    EXPECT_NE(map.error().message.find("PNG, JPEG, GIF, BMP or WebP"), std::string::npos) << map.error().message;
    EXPECT_EQ(map.error().message.find("OPENSSH"), std::string::npos) << "the message shows the file";
  }
}

TEST(TiledImport, AFaultInXmlHasItsPlace) {
  const Wrong cases[] = {
      {"cut", "<map>\n <layer>\n", "m.tmx:2:9: not well-formed XML"},
      {"attribute",
       "<map orientation=\"orthogonal\" width=\"2\" height=\"2\">\n <group>\n  <layer id=\"x1\"/>\n </group>\n</map>",
       "m.tmx:3:3: <map>/<group>/<layer>: id=\"x1\" must be a number"},
      {"switch", "<map>\n <layer visible=\"maybe\"/></map>",
       "m.tmx:2:2: <map>/<layer>: visible=\"maybe\" must be 0, 1, true or false"},
      {"gid", "<map>\n<layer><data>\n<tile gid=\"7x\"/></data></layer></map>",
       "m.tmx:3:1: <map>/<layer>/<data>/<tile>: gid=\"7x\" must be a whole number from 0 to 4294967295"},
  };
  for (const Wrong& c : cases) {
    const auto map = import_tiled(c.text, "m.tmx", kNoFiles);
    ASSERT_FALSE(map.ok()) << c.name;
    EXPECT_NE(map.error().message.find(c.said), std::string::npos) << c.name << ": " << map.error().message;
  }
}

}  // namespace
}  // namespace terrazzo::formats
