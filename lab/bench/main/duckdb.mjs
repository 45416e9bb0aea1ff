// Asks DuckDB what the traffic API was asked: node duckdb.mjs ROWS.parquet DB FROM TO
import { DuckDBInstance, version } from "@duckdb/node-api";

const [rows, file, from, to] = process.argv.slice(2);
const db = await (await DuckDBInstance.create(file)).connect();
await db.run(`CREATE TABLE flows AS SELECT * REPLACE (to_timestamp(timestamp) AS timestamp) FROM '${rows}' ORDER BY timestamp`);
const count = (await db.runAndReadAll("SELECT count(*) FROM flows")).getRows()[0][0];

const span = `timestamp >= to_timestamp(${from}) AND timestamp < to_timestamp(${to})`;
const connections = "sum(count) FILTER (event IN ('open', 'refused'))";
const questions = {
  Stats: [
    `SELECT epoch(timestamp)::BIGINT // 300 * 300 AS bucket, action, sum(bytes), sum(packets), ${connections},
       sum(CASE WHEN zone_from = 'WAN' THEN bytes_sent WHEN zone_to = 'WAN' THEN bytes_received ELSE 0 END),
       sum(CASE WHEN zone_to = 'WAN' THEN bytes_sent WHEN zone_from = 'WAN' THEN bytes_received ELSE 0 END),
       sum(count) FILTER (threat IS NOT NULL AND action <> 'accept') FROM flows WHERE ${span} GROUP BY ALL`,
    `SELECT protocol, sum(bytes), sum(packets) FROM flows WHERE ${span} GROUP BY ALL`,
    `SELECT app, sum(bytes), ${connections} FROM flows WHERE ${span} GROUP BY ALL`,
    `SELECT geo, sum(bytes), ${connections} FROM flows WHERE ${span} GROUP BY ALL`,
  ],
  Clients: [`SELECT source_ip, sum(bytes_received) AS rx, sum(bytes_sent) AS tx, ${connections}, max(hostname), max(source_mac)
    FROM flows WHERE ${span} GROUP BY ALL ORDER BY rx + tx DESC LIMIT 10`],
  Destinations: [`SELECT destination_ip, sum(bytes) AS b, ${connections}, max(geo) FROM flows WHERE ${span} GROUP BY ALL ORDER BY b DESC LIMIT 10`],
};
const out = { Version: version().replace(/^v/, ""), Rows: Number(count) };
for (const [name, statements] of Object.entries(questions)) {
  const took = [];
  for (let i = 0; i < 12; i++) {
    const begun = performance.now();
    for (const sql of statements) (await db.runAndReadAll(sql)).getRows();
    took.push(performance.now() - begun);
  }
  out[name] = took.slice(2).sort((a, b) => a - b)[5];
}
console.log(JSON.stringify(out));
