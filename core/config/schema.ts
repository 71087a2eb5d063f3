// The whole schema: the sections of the file put together.
import { z } from "zod";
import { auth } from "./auth.ts";
import {
  access,
  acl,
  general,
  hostGeneral,
  instrumentationParts,
  internalDatabases,
  serviceDomainDb,
  shaper,
} from "./general.ts";
import { listen } from "./listen.ts";
import { hostOutgoingPools, outgoingPools } from "./pools.ts";
import { hostRetention, retention } from "./retention.ts";
import { type Names, selected } from "./selected.ts";
import { domainName, nonEmpty, rule } from "./types.ts";
import { unbuiltModules } from "./unbuilt/index.ts";
import { exometer } from "./unbuilt/instrumentation.ts";
import { s2s } from "./unbuilt/s2s.ts";
import { serviceBosh, serviceSystemMetrics, serviceTraffic } from "./unbuilt/services.ts";

/** The schemas of the modules that are built, by name: each module's own `config`. */
export type ModuleSchemas = Readonly<Record<string, z.ZodType>>;

/** Options of the modules that are on, by name; what each holds is known to the module itself. */
export type Modules = Record<string, Record<string, unknown>>;

function modules(built: ModuleSchemas, names: Names) {
  const makers: Record<string, () => z.ZodType> = { ...unbuiltModules };
  for (const [name, schema] of Object.entries(built)) makers[name] = () => schema;
  return selected(makers, names) as unknown as z.ZodType<Modules, Modules>;
}

const services = (names: Names) =>
  selected(
    {
      service_bosh: serviceBosh,
      service_domain_db: serviceDomainDb,
      service_mongoose_system_metrics: serviceSystemMetrics,
      service_traffic: serviceTraffic,
    },
    names,
  )
    .prefault({})
    .describe("Parts of the server that belong to no host type");

const instrumentation = () =>
  z
    .strictObject({ ...instrumentationParts(), exometer: exometer().optional() })
    .prefault({})
    .describe("Metrics");

const hostConfig = (built: ModuleSchemas, names: Names) =>
  rule(
    z.strictObject({
      host: domainName().optional().describe("The host type, when it is a host; the same as host_type"),
      host_type: nonEmpty().optional().describe("The host type these options are for"),
      general: hostGeneral().optional().describe("Options set in place of the same above"),
      auth: auth().optional(),
      modules: modules(built, names).optional().describe("Modules, in place of all those above"),
      outgoing_pools: hostOutgoingPools(names).optional(),
      acl: acl().optional().describe("Patterns added to the classes above"),
      access: access().optional().describe("Clauses added to the rules above"),
      s2s: s2s().unwrap().optional(),
      retention: hostRetention().optional(),
    }),
    (table) => (table.host === undefined) !== (table.host_type === undefined),
    "it needs one of host and host_type",
  );

function hostConfigs(built: ModuleSchemas, names: Names) {
  const whole = () => z.array(hostConfig(built, names)).default([]).describe("Options of single host types");
  // As in selected.ts: not built when the file has none, where its value is the empty list.
  if (names === "all" || names.has("host_config")) return whole();
  return z.array(z.never()).default([]) as unknown as ReturnType<typeof whole>;
}

/**
 * The schema of a file.
 * @param built schemas of the modules that exist; for the other names of MongooseIM the schema stands in unbuilt/.
 * @param names what of the optional parts to build.
 */
export const root = (built: ModuleSchemas, names: Names) =>
  z.strictObject({
    general: general(),
    listen: listen(names),
    auth: auth().prefault({}),
    modules: modules(built, names).prefault({}).describe("Features, by name; a feature without a table is off"),
    services: services(names),
    outgoing_pools: outgoingPools(names),
    internal_databases: internalDatabases(),
    shaper: shaper().prefault({}),
    acl: acl().prefault({}),
    access: access().prefault({}),
    s2s: s2s(),
    instrumentation: instrumentation(),
    retention: retention(),
    host_config: hostConfigs(built, names),
  });

/** What a file holds, with defaults applied; keys are those of the file. */
export type Sections = z.output<ReturnType<typeof root>>;
export type General = Sections["general"];
export type Listen = Sections["listen"];
export type Auth = Sections["auth"];
export type Acl = Sections["acl"];
export type Access = Sections["access"];
export type Services = Sections["services"];
export type OutgoingPools = Sections["outgoing_pools"];
export type S2s = Sections["s2s"];
export type Retention = Sections["retention"];
export type HostConfigTable = Sections["host_config"][number];
