// A web server that does what its paths say, with WebSocket by `ws` on any path.
const crypto = require('crypto'), http = require('http');
const { WebSocketServer } = require('ws');
const LARGE = Buffer.alloc(6_000_000, 'large ');
const PAGE = `<!doctype html><title>peers</title><script>
  const words = ['one', 'zwei \\u{1f984}', 'x'.repeat(300000)];
  const talk = (host) => new Promise((told) => {
    const heard = [], socket = new WebSocket('wss://' + host + '/socket', ['peers']);
    socket.onopen = () => words.forEach((word) => socket.send(word));
    socket.onmessage = (message) => { if (heard.push(message.data) === words.length) socket.close(4001, 'enough'); };
    socket.onclose = (close) => told({ how: close.code + ' ' + close.wasClean, protocol: socket.protocol,
      same: heard.length === words.length && heard.every((word, n) => word === words[n]) });
  });
  // the first over the connection of this page where the server allows it, the second over one of its own
  talk(location.host).then(async (first) => fetch('/report', { method: 'POST', body: JSON.stringify({
    page: performance.getEntriesByType('navigation')[0].nextHopProtocol,
    sockets: [first, await talk('127.0.0.1:' + location.port)] }) }));
</script>`;
const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/page') {
    response.setHeader('content-type', 'text/html');
    return response.end(PAGE);
  }
  if (path === '/large') return response.end(LARGE);
  if (path === '/echo') return request.pipe(response);
  if (path === '/trailers') {
    response.writeHead(200, { trailer: 'x-sum' });
    response.write('body');
    response.addTrailers({ 'x-sum': '42' });
    return response.end();
  }
  if (path === '/drip') { // a piece each time that the client has taken one, and told when it goes
    let count = 0;
    const timer = setInterval(() => response.write(`${(count += 1)}\n`), 20);
    return response.on('close', () => { clearInterval(timer); console.log(`gone ${request.url}`); });
  }
  if (path === '/hang') return response.on('close', () => console.log(`gone ${request.url}`));
  if (path === '/taken') { // how much is taken of a body that nobody reads
    return setTimeout(() => request.pipe(crypto.createHash('sha256')).on('data', (sum) => response.end(sum.toString('hex'))), 500);
  }
  let body = [];
  request.on('data', (data) => body.push(data));
  return request.on('end', () => {
    body = Buffer.concat(body);
    if (path === '/report') console.log(body.toString());
    const sha256 = crypto.createHash('sha256').update(body).digest('hex');
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, length: body.length, sha256, trailers: request.trailers }));
  });
});
const options = { server, maxPayload: 64 << 20, perMessageDeflate: true, handleProtocols: (offered) => [...offered][0] };
new WebSocketServer(options).on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    if (data.toString('latin1', 0, 6) === 'close ') {
      const [, code, reason] = data.toString().split(' ');
      return socket.close(Number(code), reason);
    }
    return socket.send(data, { binary: isBinary });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
