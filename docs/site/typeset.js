// node typeset.js <katex.js>: reads a JSON list of [TeX, display], writes the list of their HTML; a formula
// that KaTeX refuses becomes {"error": ...}.
const katex = require(process.argv[2]);
const read = [];
process.stdin.on('data', (piece) => read.push(piece));
process.stdin.on('end', () => {
  const html = JSON.parse(Buffer.concat(read).toString('utf8')).map(([tex, display]) => {
    try {
      return katex.renderToString(tex, {displayMode: display, throwOnError: true, strict: 'ignore'});
    } catch (error) {
      return {error: String(error.message || error)};
    }
  });
  process.stdout.write(JSON.stringify(html));
});
