export type { LogExplanation as Explanation, TrafficStats } from "../api/schema"
