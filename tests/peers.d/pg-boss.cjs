"use strict";

const { PgBoss } = require("pg-boss");

const connectionString = process.env.POSTGRES;
const QUEUE = "events";
let boss;

async function start() {
  boss = new PgBoss({ connectionString, max: 33 });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  // The second call finds it.
  await boss.createQueue(QUEUE);
}

exports.connect = start;

exports.add = (job) => boss.send(QUEUE, job);

exports.addMany = (jobs) => boss.insert(QUEUE, jobs.map((data) => ({ data })));

// A finished job stays for a while.
exports.open = async () =>
  (await boss.getDb().executeSql("select count(*)::int as open from pgboss.job where state < 'completed'")).rows[0].open;

// Four workers with eight jobs each, as often as it allows. With LISTEN and NOTIFY, which it can do, each insert waits for the others'.
exports.work = async (concurrency, post) => {
  await start();
  const batchSize = 8;
  const options = { localConcurrency: concurrency / batchSize, batchSize, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
  await boss.work(QUEUE, options, (jobs) => Promise.all(jobs.map((job) => post(job.data))));
};
