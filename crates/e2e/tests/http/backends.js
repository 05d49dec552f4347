// Node's server, with the application of backends.py; with `PORT LOG` it listens there and writes each POST down first,
// with `h2c` behind them over HTTP/2.
const crypto = require('crypto'), fs = require('fs'), http = require('http'), http2 = require('http2');
const LARGE = Buffer.from('large '.repeat(3_000_000));
const sum = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const [port, log, protocol] = process.argv.slice(2);
let told = [];
const server = (protocol === 'h2c' ? http2 : http).createServer((request, response) => {
  const pieces = [], { method, url: target } = request;
  request.on('data', (piece) => {
    pieces.push(piece);
    if (target === '/reset-within') request.socket.resetAndDestroy();
  });
  request.on('end', () => {
    const body = Buffer.concat(pieces), path = target.split('?')[0];
    const say = (status, fields, text) => { response.writeHead(status, fields); response.end(text); };
    if (path === '/told') { say(200, {}, JSON.stringify(told)); told = []; return undefined; }
    if (log && method === 'POST') fs.appendFileSync(log, `${target}\n`);
    told.push({ method, target, host: request.headers.host ?? '-', port: String(request.socket.remotePort), body: body.toString('base64') });
    if (path === '/none') return say(204);
    if (path === '/same') return say(304, { etag: '"same"' });
    if (path === '/missing') return say(404, [['x-one', '1'], ['set-cookie', 'a=b'], ['set-cookie', 'c=d'], ['content-length', '12']].flat(), 'nothing here');
    if (path === '/large') return say(200, { 'content-length': LARGE.length }, LARGE);
    if (path === '/stream') { response.writeHead(200, { 'x-sum': sum(LARGE) }); response.write(LARGE); return response.end(); }
    if (path === '/echo') return say(200, { 'content-length': body.length, 'x-method': method }, body);
    if (path === '/trailers') { // those that came
      response.writeHead(200, { trailer: 'x-sum' });
      response.write(body);
      response.addTrailers(request.trailers);
      return response.end();
    }
    // what goes wrong
    if (path === '/slow') return setTimeout(() => say(200, {}, 'late'), 1500);
    if (path === '/never') return undefined;
    if (path === '/reset') return request.socket.resetAndDestroy();
    if (path === '/half-close') return request.socket.end();
    if (path === '/cut' || path === '/reset-body') {
      response.writeHead(200, { 'content-length': 100000 });
      response.write('half', () => (path === '/cut' ? request.socket.end() : request.socket.resetAndDestroy()));
      return undefined;
    }
    return say(200, { 'content-type': 'application/json' }, JSON.stringify({ method, length: body.length, sum: sum(body) }));
  });
  request.on('error', () => {});
});
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n');
  socket.write(head);
  socket.pipe(socket);
});
server.keepAliveTimeout = 60000;
server.listen(Number(port ?? 0), '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
