// Compiled by db_compiled.test.ts: opens the embedded database and prints a row of it.
import { openStorage } from "../../core/storage/index.ts";

const db = await openStorage({ stateDir: process.argv[2] });
await db.insertNew("domain_events", { domain: "localhost" });
console.log(JSON.stringify(await db.query("SELECT domain FROM domain_events")));
await db.close();
