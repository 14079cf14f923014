// One process of a peer: `intake` takes notifications over HTTP and answers when their jobs are stored; `work` posts each job to the target.
// Started by tests/python/peers.py: main.cjs ROLE PEER, with PORT, TARGET, CONCURRENCY and what the peer needs in the environment.
"use strict";

const http = require("node:http");

const [role, name] = process.argv.slice(2);
const peer = require(`./${name}.cjs`);
const concurrency = Number(process.env.CONCURRENCY);

// What a worker needs to know of an event.
function job({ eventName, eventTime, s3: { bucket, object } }) {
  const { key, size, eTag: etag, sequencer } = object;
  return { event: eventName, time: eventTime, bucket: bucket.name, key: decodeURIComponent(key.replaceAll("+", " ")), size, etag, sequencer };
}

async function answer(method, body) {
  if (method === "GET") return { open: await peer.open() };
  const jobs = JSON.parse(body).Records.map(job);
  await (jobs.length === 1 ? peer.add(jobs[0]) : peer.addMany(jobs));
  return { recorded: jobs.length };
}

function send(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function serve(port) {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () =>
      answer(request.method, Buffer.concat(parts).toString()).then(
        (value) => send(response, 200, value),
        (error) => send(response, 500, { error: String(error) }),
      ),
    );
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });

function post(value) {
  const body = JSON.stringify(value);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = http.request(process.env.TARGET, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  if (role === "intake") {
    await peer.connect();
    await serve(Number(process.env.PORT));
  } else {
    await peer.work(concurrency, post);
  }
  console.log("ready");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
