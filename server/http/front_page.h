#pragma once

#include <string_view>

namespace terrazzo::http {

// What a browser shows at `/`: where things are, and the worlds there are.
inline constexpr std::string_view kFrontPage = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Terrazzo</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fafaf7 }
  code, pre { background: #eee; padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere }
  pre { padding: .7em 1em; overflow-x: auto }
  td, th { text-align: left; padding: .2em 1.2em .2em 0 }
  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #1c1c1a } code, pre { background: #333 } a { color: #8cf } }
</style>
<h1>Terrazzo</h1>
<p>This server keeps tile maps that many people paint at once. Editors and scripts connect to
<code id="ws"></code>; <a href="/v1/worlds">/v1/worlds</a>, <a href="/metrics">/metrics</a> and
<a href="/healthz">/healthz</a> answer over HTTP.</p>
<h2>Worlds</h2>
<table id="worlds"><tr><td>…</td></tr></table>
<h2>Look and paint</h2>
<pre id="try"></pre>
<script>
  const server = location.origin, ws = server.replace(/^http/, 'ws') + '/v1/ws';
  document.getElementById('ws').textContent = ws;
  const cell = (row, text) => { const td = row.insertCell(); td.textContent = text; };
  fetch('/v1/worlds').then(async r => {
    const table = document.getElementById('worlds');
    const body = await r.json();
    table.textContent = '';
    if (!r.ok) { cell(table.insertRow(), body.detail); return; }
    const head = table.insertRow();
    for (const text of ['name', 'size in cells', 'layers', 'tilesets']) cell(head, text);
    for (const w of body.worlds) {
      const row = table.insertRow();
      cell(row, w.name); cell(row, w.bounds ? w.bounds[2] + ' × ' + w.bounds[3] : 'infinite');
      cell(row, w.layers); cell(row, w.tilesets);
    }
    if (body.worlds.length === 0) cell(table.insertRow(), 'none yet: terrazzo import FILE.tmx --world NAME');
    const name = body.worlds.length ? body.worlds[0].name : 'NAME';
    document.getElementById('try').textContent =
      `terrazzo watch  --server ${server} --world "${name}"\n` +
      `terrazzo paint  --server ${server} --world "${name}" --help\n` +
      `terrazzo render --server ${server} --world "${name}" --out map.png`;
  });
</script>
</html>
)html";

}  // namespace terrazzo::http
