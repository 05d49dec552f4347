// An HTTP/2 server that does what its paths say. Arguments: chain and key for TLS, and `alpn` to speak HTTP/1.1 too.
const fs = require('fs'), http2 = require('http2');
const files = process.argv.slice(2), mode = files.pop();
const [chain, key] = files;
const few = { settings: { maxConcurrentStreams: 5 } };
const options = chain ? { cert: fs.readFileSync(chain), key: fs.readFileSync(key), allowHTTP1: mode === 'alpn' } : mode === 'few' ? few : {};
// Node refuses streams beyond 10 MB that wait in a session, and clients that do not read make them wait
options.maxSessionMemory = 1000;
const server = chain ? http2.createSecureServer(options) : http2.createServer(options);
let sessions = 0, refused = 0;
server.on('session', (session) => { sessions += 1; session.number = sessions; });
server.on('request', (request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/what') {
    const told = { version: request.httpVersion, session: request.stream && request.stream.session.number };
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify({ ...told, method: request.method, url: request.url, headers: request.headers }));
  }
  if (path === '/slow') {
    return setTimeout(() => response.end(`session ${request.stream.session.number}\n`), 500);
  }
  if (path === '/echo') return request.pipe(response);
  if (path === '/length') {
    let count = 0;
    request.on('data', (data) => { count += data.length; });
    return request.on('end', () => response.end(`${count} ${JSON.stringify(request.trailers)}`));
  }
  if (path === '/empty') return response.end();
  if (path === '/none') { response.writeHead(204); return response.end(); }
  if (path === '/large') {
    response.setHeader('content-length', 5_000_000);
    return response.end(Buffer.alloc(5_000_000, 'z'));
  }
  if (path === '/trailers') {
    response.write('body');
    response.addTrailers({ 'x-sum': '42' });
    return response.end();
  }
  if (path === '/hints') {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    return response.end('hinted');
  }
  if (path === '/hang') {
    request.stream.on('close', () => console.log(`given up with ${request.stream.rstCode}`));
    return undefined;
  }
  if (path === '/cut') {
    response.write('half');
    return setTimeout(() => request.stream.close(http2.constants.NGHTTP2_CANCEL), 200);
  }
  if (path === '/refuse-once') {
    refused += 1;
    if (refused === 1) return request.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    return response.end(`tries: ${refused}`);
  }
  if (path === '/goaway') {
    request.stream.session.goaway();
    return response.end('last');
  }
  if (path === '/bye') {
    request.stream.session.destroy();
    return undefined;
  }
  response.writeHead(404);
  return response.end();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
