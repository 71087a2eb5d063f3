// Instruments and their registry.
export type { Instrument, InstrumentKind, Labels } from "./instrument.ts";
export { Counter, Family, Gauge, Histogram, POWERS_OF_TWO, Probe, ScalarFamily } from "./instrument.ts";
export * from "./names.ts";
export type { Reading } from "./registry.ts";
export { Registry } from "./registry.ts";
export { PROMETHEUS_CONTENT_TYPE } from "./text.ts";
