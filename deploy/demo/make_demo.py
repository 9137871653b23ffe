#!/usr/bin/env python3
"""Draws the demo world's tile sheet and map: deploy/demo/tiles.png, tiles.tsx and demo.tmx.

Standard library only, the same output every time. The art is ours and in the public domain (CC0 1.0)."""
import base64
import math
import os
import random
import struct
import zlib

TILE = 16
COLUMNS = 8
SIZE = 256
HERE = os.path.dirname(os.path.abspath(__file__))


class Sheet:
    """Tiles drawn pixel by pixel; index 0 of the list is tile 1 of the map."""

    def __init__(self):
        self.tiles, self.names = [], []

    def add(self, name, pixel):
        self.names.append(name)
        self.tiles.append([[pixel(x, y) for x in range(TILE)] for y in range(TILE)])
        return len(self.tiles)

    def png(self):
        rows = (len(self.tiles) + COLUMNS - 1) // COLUMNS
        raw = bytearray()
        for y in range(rows * TILE):
            raw.append(0)
            for x in range(COLUMNS * TILE):
                index = y // TILE * COLUMNS + x // TILE
                colour = self.tiles[index][y % TILE][x % TILE] if index < len(self.tiles) else (0, 0, 0, 0)
                raw.extend(colour)
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        header = struct.pack(">IIBBBBB", COLUMNS * TILE, rows * TILE, 8, 6, 0, 0, 0)
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(raw), 9)) + chunk(b"IEND", b""),
                COLUMNS * TILE, rows * TILE)


def shade(colour, factor):
    return tuple(max(0, min(255, int(c * factor))) for c in colour) + (255,)


def speckled(colour, amount, seed):
    noise = random.Random(seed)
    table = [[1 + (noise.random() - 0.5) * amount for _ in range(TILE)] for _ in range(TILE)]
    return lambda x, y: shade(colour, table[y][x])


CLEAR = (0, 0, 0, 0)


def waves(colour, phase):
    base = speckled(colour, 0.05, phase)
    def pixel(x, y):
        crest = (x + phase * 5 + int(2 * math.sin((y + phase * 3) * math.pi / 8))) % 16 in (2, 3, 4) and y % 8 == (phase * 3) % 8
        return shade(colour, 1.18) if crest else base(x, y)
    return pixel


def grass(colour, seed, blades):
    base, noise = speckled(colour, 0.10, seed), random.Random(seed * 7)
    marks = {(noise.randrange(1, 15), noise.randrange(2, 15)) for _ in range(blades)}
    def pixel(x, y):
        if (x, y) in marks or (x, y + 1) in marks:
            return shade(colour, 1.22)
        return base(x, y)
    return pixel


def flowers(colour, petals, seed):
    base, noise = grass(colour, seed, 6), random.Random(seed)
    spots = [(noise.randrange(2, 14), noise.randrange(2, 14)) for _ in range(4)]
    def pixel(x, y):
        for sx, sy in spots:
            if (x, y) == (sx, sy):
                return (250, 220, 90, 255)
            if abs(x - sx) + abs(y - sy) == 1:
                return petals + (255,)
        return base(x, y)
    return pixel


def tree(crown, dark, seed):
    noise = random.Random(seed)
    table = [[noise.random() for _ in range(TILE)] for _ in range(TILE)]
    def pixel(x, y):
        if 7 <= x <= 8 and 11 <= y <= 14:
            return (96, 66, 42, 255)
        if y == 15 and 5 <= x <= 11:
            return (30, 50, 30, 90)
        distance = math.hypot(x - 7.5, (y - 6) * 1.05)
        if distance < 6.3 + table[y][x] * 0.9:
            light = 1.12 - (x + y) * 0.02 + (table[y][x] - 0.5) * 0.25
            return shade(crown if distance < 5.4 else dark, light)
        return CLEAR
    return pixel


def pine(crown, seed):
    noise = random.Random(seed)
    table = [[noise.random() for _ in range(TILE)] for _ in range(TILE)]
    def pixel(x, y):
        if 7 <= x <= 8 and 13 <= y <= 15:
            return (84, 58, 40, 255)
        width = (y % 5) * 0.9 + y * 0.22 + 0.6
        if y < 13 and abs(x - 7.5) < width:
            return shade(crown, 0.8 + table[y][x] * 0.25 + (0.2 if x < 7 else 0))
        return CLEAR
    return pixel


def rock(seed):
    noise = random.Random(seed)
    table = [[noise.random() for _ in range(TILE)] for _ in range(TILE)]
    def pixel(x, y):
        if math.hypot((x - 7.5) / 6.5, (y - 9) / 5) < 1:
            return shade((150, 148, 142), 1.15 - y * 0.035 + (table[y][x] - 0.5) * 0.18)
        return CLEAR
    return pixel


def house(roof):
    def pixel(x, y):
        if y < 8 and abs(x - 7.5) <= 1.5 + y * 0.85:
            return shade(roof, 1.15 if x < 8 else 0.9) if y % 3 else shade(roof, 0.75)
        if 8 <= y < 15 and 2 <= x <= 13:
            if 6 <= x <= 8 and y >= 10:
                return (92, 62, 40, 255)
            if 10 <= x <= 11 and 10 <= y <= 11:
                return (250, 224, 140, 255)
            return shade((226, 208, 176), 1 if x < 12 else 0.85)
        return CLEAR
    return pixel


def planks():
    def pixel(x, y):
        return shade((158, 118, 74), 0.78 if y % 4 == 3 else 1 + ((x * 7 + y // 4 * 5) % 6) * 0.015)
    return pixel


def cobbles(seed):
    noise = random.Random(seed)
    tones = [[0.9 + noise.random() * 0.2 for _ in range(8)] for _ in range(8)]
    def pixel(x, y):
        shifted = x + (2 if y // 4 % 2 else 0)
        if shifted % 4 == 0 or y % 4 == 0:
            return shade((150, 132, 104), 0.85)
        return shade((186, 168, 134), tones[y // 4][shifted // 4 % 8])
    return pixel


class Noise:
    """Value noise in several octaves."""

    def __init__(self, seed):
        self.seed = seed

    def corner(self, x, y):
        h = (x * 374761393 + y * 668265263 + self.seed * 1274126177) & 0xFFFFFFFF
        h = (h ^ (h >> 13)) * 1274126177 & 0xFFFFFFFF
        return ((h ^ (h >> 16)) & 0xFFFF) / 65535

    def smooth(self, x, y):
        x0, y0 = math.floor(x), math.floor(y)
        fx, fy = x - x0, y - y0
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        top = self.corner(x0, y0) * (1 - fx) + self.corner(x0 + 1, y0) * fx
        low = self.corner(x0, y0 + 1) * (1 - fx) + self.corner(x0 + 1, y0 + 1) * fx
        return top * (1 - fy) + low * fy

    def at(self, x, y, scale, octaves=4):
        total, weight, amplitude = 0, 0, 1
        for _ in range(octaves):
            total += self.smooth(x / scale, y / scale) * amplitude
            weight += amplitude
            amplitude *= 0.5
            scale /= 2
        return total / weight


def paint():
    sheet = Sheet()
    t = {}
    t["deep"] = [sheet.add("deep water", waves((38, 84, 140), p)) for p in (0, 1)]
    t["water"] = [sheet.add("water", waves((58, 120, 176), p)) for p in (2, 3)]
    t["shallow"] = [sheet.add("shallow water", waves((104, 176, 200), p)) for p in (4, 5)]
    t["sand"] = [sheet.add("sand", speckled((226, 206, 152), 0.09, s)) for s in (11, 12)]
    t["grass"] = [sheet.add("grass", grass((112, 164, 76), s, 5)) for s in (21, 22, 23)]
    t["meadow"] = [sheet.add("meadow", grass((92, 148, 70), s, 9)) for s in (31, 32)]
    t["flowers"] = [sheet.add("flowers", flowers((112, 164, 76), c, s)) for c, s in (((232, 96, 112), 41), ((240, 240, 250), 42))]
    t["forest floor"] = [sheet.add("forest floor", grass((74, 120, 62), s, 4)) for s in (51, 52)]
    t["hill"] = [sheet.add("hill", speckled((142, 146, 104), 0.14, s)) for s in (61, 62)]
    t["path"] = [sheet.add("path", cobbles(s)) for s in (71, 72)]
    t["bridge"] = [sheet.add("bridge", planks())]
    t["tree"] = [sheet.add("tree", tree((70, 138, 62), (48, 104, 50), s)) for s in (81, 82)]
    t["autumn tree"] = [sheet.add("autumn tree", tree((206, 140, 60), (166, 96, 44), 83))]
    t["pine"] = [sheet.add("pine", pine((52, 108, 72), s)) for s in (91, 92)]
    t["rock"] = [sheet.add("rock", rock(s)) for s in (95, 96)]
    t["house"] = [sheet.add("house", house(c)) for c in ((188, 78, 62), (84, 108, 164), (196, 148, 72))]
    return sheet, t


def island(t):
    height, moist, pick = Noise(7), Noise(19), random.Random(3)
    ground, things = [0] * (SIZE * SIZE), [0] * (SIZE * SIZE)
    level = [[0.0] * SIZE for _ in range(SIZE)]
    for y in range(SIZE):
        for x in range(SIZE):
            edge = math.hypot(x - SIZE / 2, y - SIZE / 2) / (SIZE / 2)
            level[y][x] = height.at(x, y, 64, 5) + 0.34 - 0.62 * edge ** 2.2
    for y in range(SIZE):
        for x in range(SIZE):
            h, m, i = level[y][x], moist.at(x, y, 40), y * SIZE + x
            kind = ("deep" if h < 0.36 else "water" if h < 0.44 else "shallow" if h < 0.49 else "sand" if h < 0.53 else
                    "hill" if h > 0.86 else "forest floor" if m > 0.56 else "meadow" if m > 0.46 else "grass")
            if kind == "grass" and pick.random() < 0.05:
                kind = "flowers"
            ground[i] = pick.choice(t[kind])
            roll = pick.random()
            if kind == "forest floor" and roll < 0.48:
                things[i] = pick.choice(t["pine"] if h > 0.74 else t["tree"])
            elif kind == "meadow" and roll < 0.07:
                things[i] = pick.choice(t["tree"] + t["autumn tree"])
            elif kind == "hill" and roll < 0.16:
                things[i] = pick.choice(t["rock"])
    roads(t, level, ground, things)
    return ground, things


def roads(t, level, ground, things):
    """Villages on open ground, joined by paths that avoid water where they can and bridge it where they cannot."""
    pick = random.Random(11)
    places = []
    while len(places) < 9:
        x, y = pick.randrange(30, SIZE - 30), pick.randrange(30, SIZE - 30)
        if 0.56 < level[y][x] < 0.8 and all(math.hypot(x - a, y - b) > 34 for a, b in places):
            places.append((x, y))
    joined = [places[0]]
    for place in places[1:]:
        walk(t, level, ground, things, place, min(joined, key=lambda p: math.hypot(p[0] - place[0], p[1] - place[1])))
        joined.append(place)
    for x, y in places:
        for _ in range(60):
            hx, hy = x + pick.randrange(-8, 9), y + pick.randrange(-7, 8)
            i = hy * SIZE + hx
            free = level[hy][hx] > 0.54 and ground[i] not in t["path"] + t["bridge"]
            if free and not any(things[i + d] in t["house"] for d in (-1, 0, 1, -SIZE, SIZE)):
                if pick.random() < 0.35:
                    things[i] = pick.choice(t["house"])
                elif things[i] in t["tree"] + t["pine"]:
                    things[i] = 0


def walk(t, level, ground, things, start, goal):
    import heapq
    queue, cost, before = [(0, start)], {start: 0}, {}
    while queue:
        _, here = heapq.heappop(queue)
        if here == goal:
            break
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            x, y = here[0] + dx, here[1] + dy
            if not (0 < x < SIZE - 1 and 0 < y < SIZE - 1):
                continue
            i = y * SIZE + x
            step = 0.4 if ground[i] in t["path"] else 9 if level[y][x] < 0.49 else 1 + abs(level[y][x] - level[here[1]][here[0]]) * 60
            total = cost[here] + step
            if total < cost.get((x, y), 1e9):
                cost[(x, y)], before[(x, y)] = total, here
                heapq.heappush(queue, (total, (x, y)))
    while goal in before or goal == start:
        i = goal[1] * SIZE + goal[0]
        ground[i] = t["bridge"][0] if level[goal[1]][goal[0]] < 0.49 else t["path"][(goal[0] + goal[1]) % 2]
        things[i] = 0
        if goal == start:
            break
        goal = before[goal]


def layer(number, name, cells):
    data = base64.b64encode(zlib.compress(struct.pack("<%dI" % len(cells), *cells), 9)).decode()
    return (' <layer id="%d" name="%s" width="%d" height="%d">\n  <data encoding="base64" compression="zlib">\n   %s\n  </data>\n </layer>\n'
            % (number, name, SIZE, SIZE, data))


def main():
    sheet, t = paint()
    png, width, height = sheet.png()
    with open(os.path.join(HERE, "tiles.png"), "wb") as out:
        out.write(png)
    with open(os.path.join(HERE, "tiles.tsx"), "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<tileset version="1.8" tiledversion="1.8.2" name="island" tilewidth="%d" '
                  'tileheight="%d" tilecount="%d" columns="%d">\n <image source="tiles.png" width="%d" height="%d"/>\n'
                  % (TILE, TILE, height // TILE * COLUMNS, COLUMNS, width, height))
        for i, name in enumerate(sheet.names):
            out.write(' <tile id="%d" type="%s"/>\n' % (i, name))
        out.write('</tileset>\n')
    ground, things = island(t)
    with open(os.path.join(HERE, "demo.tmx"), "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<map version="1.8" tiledversion="1.8.2" orientation="orthogonal" '
                  'renderorder="right-down" width="%d" height="%d" tilewidth="%d" tileheight="%d" infinite="0" nextlayerid="4" '
                  'nextobjectid="1">\n <tileset firstgid="1" source="tiles.tsx"/>\n' % (SIZE, SIZE, TILE, TILE))
        out.write(layer(1, "ground", ground) + layer(2, "things", things) + layer(3, "paint here", [0] * (SIZE * SIZE)) + '</map>\n')


if __name__ == "__main__":
    main()
