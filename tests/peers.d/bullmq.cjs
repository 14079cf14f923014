"use strict";

const { Queue, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.env.REDIS), maxRetriesPerRequest: null };
const QUEUE = "events";
let queue;

exports.connect = async () => {
  queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true, attempts: 5 } });
  await queue.waitUntilReady();
};

exports.add = (job) => queue.add("event", job);

exports.addMany = (jobs) => queue.addBulk(jobs.map((data) => ({ name: "event", data })));

exports.open = () => queue.getJobCountByTypes("wait", "active", "delayed", "failed");

exports.work = async (concurrency, post) => {
  const worker = new Worker(QUEUE, (job) => post(job.data), { connection, concurrency });
  worker.on("error", (error) => console.error(error));
  await worker.waitUntilReady();
};
