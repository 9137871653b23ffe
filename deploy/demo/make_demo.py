#!/usr/bin/env python3
"""Draws the demo world's tile sheet and map: deploy/demo/tiles.png, tiles.tsx and demo.tmx.

Standard library only, the same output every time. The art is ours and in the public domain (CC0 1.0)."""
import base64
import heapq
import math
import os
import random
import struct
import zlib

TILE = 16
COLUMNS = 16
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


def field(soil, crop):
    noise = random.Random(99)
    table = [[noise.random() for _ in range(TILE)] for _ in range(TILE)]
    def pixel(x, y):
        return shade(crop, 0.9 + table[y][x] * 0.25) if y % 4 in (1, 2) and table[x][y] < 0.9 else shade(soil, 0.92 + table[y][x] * 0.12)
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
    t["field"] = [sheet.add("field", field(soil, crop)) for soil, crop in (((150, 112, 70), (216, 186, 84)), ((128, 100, 66), (134, 172, 72)))]
    return sheet, t


# Kinds of ground from the lowest up: where several meet in a cell, the higher lies on the lower with a rounded edge.
KINDS = ["deep", "water", "shallow", "sand", "grass", "meadow", "forest floor", "hill", "bridge", "path"]
DEEP, WATER, SHALLOW, SAND, GRASS, MEADOW, FOREST, HILL, BRIDGE, PATH = range(len(KINDS))


class Ground:
    """Kinds lie on the corners of cells; a cell that has several at its corners gets a tile drawn for them, once each."""

    def __init__(self, sheet, t):
        self.sheet, self.t, self.made = sheet, t, {}
        jitter = random.Random(5)
        self.jitter = [[jitter.random() - 0.5 for _ in range(TILE)] for _ in range(TILE)]

    def share(self, corners, kind, x, y):
        """How much of the higher kinds is at a pixel, above one half: there. Edges of neighbouring tiles meet."""
        fx, fy = (x + 0.5) / TILE, (y + 0.5) / TILE
        nw, ne, sw, se = (1 if c >= kind else 0 for c in corners)
        inner = math.sin(math.pi * (x + 0.5) / TILE) * math.sin(math.pi * (y + 0.5) / TILE)
        rough = 0.05 if kind >= BRIDGE else 0.2
        return (nw * (1 - fx) + ne * fx) * (1 - fy) + (sw * (1 - fx) + se * fx) * fy + self.jitter[y][x] * rough * inner

    def pixel(self, corners, x, y):
        kinds = sorted(set(corners))
        colour = self.sheet.tiles[self.t[KINDS[kinds[0]]][0] - 1][y][x]
        for kind in kinds[1:]:
            share = self.share(corners, kind, x, y)
            if share > 0.5:
                colour = self.sheet.tiles[self.t[KINDS[kind]][0] - 1][y][x]
                if share < 0.58:
                    colour = shade(colour[:3], 0.9 if kind >= GRASS else 1.05)
            elif share > 0.40 and kind == SAND:
                colour = shade(colour[:3], 1.22)  # foam
            elif share > 0.44 and kind >= GRASS:
                colour = shade(colour[:3], 0.93)
        return colour

    def tile(self, corners, pick):
        if len(set(corners)) == 1:
            return pick.choice(self.t[KINDS[corners[0]]])
        if corners not in self.made:
            name = " on ".join(KINDS[k] for k in sorted(set(corners), reverse=True))
            self.made[corners] = self.sheet.add(name, lambda x, y: self.pixel(corners, x, y))
        return self.made[corners]


def kind_at(h, m):
    if h < 0.36:
        return DEEP
    if h < 0.44:
        return WATER
    if h < 0.49:
        return SHALLOW
    if h < 0.53:
        return SAND
    if h > 0.86:
        return HILL
    return FOREST if m > 0.56 else MEADOW if m > 0.46 else GRASS


def island(sheet, t):
    height, moist, patch = Noise(7), Noise(19), Noise(23)
    side = SIZE + 1
    level, kinds = [[0.0] * side for _ in range(side)], [[DEEP] * side for _ in range(side)]
    for y in range(side):
        for x in range(side):
            edge = math.hypot(x - SIZE / 2, y - SIZE / 2) / (SIZE / 2)
            level[y][x] = height.at(x, y, 64, 5) + 0.34 - 0.62 * edge ** 2.2
    carve(level)
    for y in range(side):
        for x in range(side):
            kinds[y][x] = kind_at(level[y][x], moist.at(x, y, 40))
    villages = roads(level, kinds)
    pick, drawn = random.Random(3), Ground(sheet, t)
    ground, things = [0] * (SIZE * SIZE), [0] * (SIZE * SIZE)
    for y in range(SIZE):
        for x in range(SIZE):
            corners = (kinds[y][x], kinds[y][x + 1], kinds[y + 1][x], kinds[y + 1][x + 1])
            i, lush = y * SIZE + x, patch.at(x, y, 9, 2)
            ground[i] = drawn.tile(corners, pick)
            if len(set(corners)) != 1:
                continue
            roll, h = pick.random(), level[y][x]
            if corners[0] == FOREST and roll < 0.1 + lush * 0.7:
                things[i] = pick.choice(t["pine"] if h > 0.74 + lush * 0.06 else t["tree"])
            elif corners[0] == MEADOW and roll < lush * 0.22 - 0.05:
                things[i] = pick.choice(t["tree"] + t["autumn tree"])
            elif corners[0] == GRASS and roll < lush * 0.5 - 0.2:
                ground[i] = t["flowers"][lush * 10 % 1 > 0.5]
            elif corners[0] == HILL and roll < 0.16:
                things[i] = pick.choice(t["rock"])
    for x, y in villages:
        build(t, kinds, ground, things, x, y)
    return ground, things


def carve(level):
    """A lake, a stream into it from the hill and one out of it to the bay."""
    bend = Noise(41)
    bed = [(128 + 6 * math.sin(i / 7), 86 + i * 0.5) for i in range(52)]
    bed += [(132 - i * 0.5, 112 + i * 0.40 + 5 * math.sin(i / 9)) for i in range(118)]
    for y in range(60, 175):
        for x in range(60, 175):
            shore = math.hypot((x - 134) / 1.35, y - 110) + bend.at(x, y, 8, 3) * 7 - 3.5
            stream = min(math.hypot(x - a, y - b) for a, b in bed) + bend.at(x, y, 5, 2) * 1.2 - 0.6
            level[y][x] = min(level[y][x], 0.32 + 0.019 * max(shore, 0), 0.41 + 0.042 * stream)


def roads(level, kinds):
    """Villages on open ground, joined by paths that avoid water where they can and bridge it where they cannot."""
    pick, villages = random.Random(11), []
    while len(villages) < 9:
        x, y = pick.randrange(30, SIZE - 30), pick.randrange(30, SIZE - 30)
        if 0.56 < level[y][x] < 0.8 and all(math.hypot(x - a, y - b) > 34 for a, b in villages):
            villages.append((x, y))
    for n, place in enumerate(villages):
        others = sorted(villages, key=lambda p: math.hypot(p[0] - place[0], p[1] - place[1]))[1:]
        nearest_joined = [p for p in others if p in villages[:n]][:1]
        for other in others[:2] + nearest_joined:
            walk(level, kinds, place, other)
    return villages


def walk(level, kinds, start, goal):
    """A path over the corners of cells, cheap on even ground, with a wind of its own."""
    wind = Noise(31)
    queue, cost, before = [(0, start)], {start: 0}, {}
    while queue:
        _, here = heapq.heappop(queue)
        if here == goal:
            break
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            x, y = here[0] + dx, here[1] + dy
            if not (0 < x < SIZE and 0 < y < SIZE):
                continue
            slope = abs(level[y][x] - level[here[1]][here[0]])
            own = 0.3 if kinds[y][x] >= BRIDGE else 24 if kinds[y][x] < SAND else 1 + slope * 60 + wind.at(x, y, 12, 3) ** 2 * 24
            total = cost[here] + own
            if total < cost.get((x, y), 1e9):
                cost[(x, y)], before[(x, y)] = total, here
                heapq.heappush(queue, (total, (x, y)))
    at = goal
    while True:
        x, y = at
        kinds[y][x] = BRIDGE if kinds[y][x] in (DEEP, WATER, SHALLOW, BRIDGE) else PATH
        if at == start:
            return
        at = before[at]


def build(t, kinds, ground, things, x, y):
    """Houses around the middle of a village, the nearer the likelier; a few fields; no forest between them."""
    pick = random.Random(x * 1000 + y)
    houses = set()
    for _ in range(90):
        hx, hy = x + round(pick.gauss(0, 5)), y + round(pick.gauss(0, 3.5))
        corners = {kinds[hy + b][hx + a] for a in (0, 1) for b in (0, 1)}
        free = all(GRASS <= k <= FOREST for k in corners)
        if free and not any((hx + a, hy + b) in houses for a in (-1, 0, 1) for b in (-1, 0, 1)) and len(houses) < 14:
            houses.add((hx, hy))
            things[hy * SIZE + hx] = pick.choice(t["house"])
    for fy in range(y - 9, y + 10):
        for fx in range(x - 12, x + 13):
            i = fy * SIZE + fx
            if things[i] in t["tree"] + t["pine"] and math.hypot((fx - x) / 12, (fy - y) / 9) < 0.8 + pick.random() * 0.3:
                things[i] = 0
    for _ in range(2):
        left, top = x + pick.choice((-11, -8, 6, 8)), y + pick.choice((-7, -5, 4, 6))
        area = [(a, b) for b in range(top, top + 4) for a in range(left, left + 5)]
        if all(kinds[b + d][a + c] in (GRASS, MEADOW) and (a, b) not in houses for a, b in area for c in (0, 1) for d in (0, 1)):
            crop = pick.choice(t["field"])
            for a, b in area:
                ground[b * SIZE + a], things[b * SIZE + a] = crop, 0


def layer(number, name, cells):
    data = base64.b64encode(zlib.compress(struct.pack("<%dI" % len(cells), *cells), 9)).decode()
    return (' <layer id="%d" name="%s" width="%d" height="%d">\n  <data encoding="base64" compression="zlib">\n   %s\n  </data>\n </layer>\n'
            % (number, name, SIZE, SIZE, data))


def main():
    sheet, t = paint()
    ground, things = island(sheet, t)  # draws the tiles where kinds of ground meet
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
    with open(os.path.join(HERE, "demo.tmx"), "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<map version="1.8" tiledversion="1.8.2" orientation="orthogonal" '
                  'renderorder="right-down" width="%d" height="%d" tilewidth="%d" tileheight="%d" infinite="0" nextlayerid="4" '
                  'nextobjectid="1">\n <tileset firstgid="1" source="tiles.tsx"/>\n' % (SIZE, SIZE, TILE, TILE))
        out.write(layer(1, "ground", ground) + layer(2, "things", things) + layer(3, "paint here", [0] * (SIZE * SIZE)) + '</map>\n')


if __name__ == "__main__":
    main()
