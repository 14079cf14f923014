"use strict";

const { Logger, makeWorkerUtils, run } = require("graphile-worker");

const connectionString = process.env.POSTGRES;
const logger = new Logger(() => (level, message) => level === "error" && console.error(message));
let utils;

exports.connect = async () => {
  utils = await makeWorkerUtils({ connectionString, logger, maxPoolSize: 33 });
  await utils.migrate();
};

exports.add = (job) => utils.addJob("event", job);

exports.addMany = (jobs) => utils.addJobs(jobs.map((payload) => ({ identifier: "event", payload })));

// A finished job is deleted.
exports.open = () =>
  utils.withPgClient(async (client) => (await client.query("select count(*)::int as open from graphile_worker._private_jobs")).rows[0].open);

// As its page on performance has it: jobs are fetched ahead into a queue of the process, and settled together.
exports.work = (concurrency, post) =>
  run({
    taskList: { event: (payload) => post(payload) },
    preset: {
      worker: {
        connectionString,
        logger,
        concurrentJobs: concurrency,
        maxPoolSize: concurrency + 1,
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  });
