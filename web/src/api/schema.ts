// Made by internal/apitypes out of the API's descriptors; go generate makes it again.

export interface ActionChange {
  box?: PacketBox
  /** accept, drop, reject */
  from: string
  /** where NAT sends the witness, if the policies have other dnat, 1:1 or netmap rules */
  from_destination?: string
  /** the rule that decides the witness */
  from_rule_id?: number
  to: string
  to_destination?: string
  to_rule_id?: number
  /** one of the box */
  witness?: Packet
}

export interface AlertStats {
  blocked: number
  /** the first 100 */
  by_category: AlertStatsCategory[]
  /** all four, from critical to low */
  by_severity: AlertStatsSeverity[]
  from: number
  over_time: AlertStatsBucket[]
  to: number
  /** the first 10 */
  top_signatures: AlertStatsSignature[]
  /** the first 10 */
  top_sources: AlertStatsSource[]
  total: number
}

export interface AlertStatsBucket {
  blocked: number
  count: number
  /** its begin, a multiple of the step */
  timestamp: number
}

export interface AlertStatsCategory {
  category: string
  count: number
}

export interface AlertStatsSeverity {
  count: number
  severity: string
}

export interface AlertStatsSignature {
  count: number
  severity: string
  signature: string
  signature_id: number
}

export interface AlertStatsSource {
  count: number
  ip: string
}

export interface AlertsResponse {
  alerts: IdsAlert[]
  /** absent: this is the last page */
  next_cursor?: string
  total: number
  /** false: there are more than total */
  total_exact?: boolean
}

export interface ApiToken {
  created_at: number
  expires_at: number
  id: string
  last_used: number | null
  name: string
  /** read, write, admin */
  scopes: string[]
  /** shown once, in the answer to the create */
  token?: string
}

export interface AsyncOperation {
  created_at: number
  /** once failed */
  error?: OperationError
  finished_at?: number
  id: string
  /** backtest */
  kind: string
  /** of 1, where it can be told */
  progress?: number
  /** of the shape that the kind documents; once done */
  result?: Record<string, unknown>
  /** pending, running, done, failed */
  status: string
}

export interface BacktestRequest {
  change?: PolicyChangeWrite | null
  /** Unix seconds; default: an hour before to */
  from?: number | null
  /** A whole policy, or a change of the stored one: one of both. */
  policy?: Record<string, unknown> | null
  /** Unix seconds, not included; default: now */
  to?: number | null
}

export interface CheckRequest {
  change?: PolicyChangeWrite | null
  /** Instead of the stored policy a whole one, or a change of the stored one: at most one of both. */
  policy?: Record<string, unknown> | null
}

export interface CreateTokenRequest {
  name?: string
  scopes?: string[]
}

export interface Device {
  created_at: number
  firmware_version: string
  id: string
  last_seen: number | null
  location?: string
  /** observe, shadow, takeover */
  mode: string
  model: string
  name: string
  notes?: string
  serial: string
  /** online, offline, updating, error, provisioning */
  status: string
  tags: string[]
  time_zone: string
}

export interface DeviceStatus {
  agent_version?: string
  config?: DeviceStatusConfigState
  connected_at?: number
  id: string
  last_seen: number | null
  mode: string
  status: string
  system?: SystemStatus
}

export interface DeviceStatusConfigError {
  field: string
  message: string
  section: string
}

export interface DeviceStatusConfigState {
  applied: number
  error?: DeviceStatusConfigError
  /** synced, pending, failed; degraded: applied, and not wholly in force */
  state: string
  wanted: number
}

export interface DeviceWrite {
  created_at?: number
  firmware_version?: string
  id?: string
  last_seen?: number | null
  location?: string | null
  /** observe, shadow, takeover */
  mode?: string
  model?: string
  name?: string
  notes?: string | null
  serial?: string
  /** online, offline, updating, error, provisioning */
  status?: string
  tags?: string[]
  time_zone?: string
}

export interface DiffRequest {
  change?: PolicyChangeWrite | null
  /** A whole policy, {zones,groups,rules,policies,time_zone}, or a change: one of both. */
  policy?: Record<string, unknown> | null
}

export interface DnsQueriesResponse {
  /** absent: this is the last page */
  next_cursor?: string
  queries: DnsQuery[]
  total: number
  /** false: there are more than total */
  total_exact?: boolean
}

export interface DnsQuery {
  answer?: string
  /** the list or rule */
  blocked_by?: string
  client: string
  device_id: string
  /** lower case, without the last dot */
  domain: string
  id: string
  /** A, AAAA, HTTPS, … */
  query_type: string
  response_time_ms: number
  /** allowed, blocked, cached, error */
  status: string
  /** Unix seconds with fraction */
  timestamp: number
}

export interface DnsStats {
  /** of all but the blocked */
  avg_response_time_ms: number
  blocked_queries: number
  cached_queries: number
  from: number
  queries_over_time: DnsStatsBucket[]
  to: number
  /** the first 10 among the blocked */
  top_blocked: DnsStatsDomain[]
  /** the first 10 */
  top_clients: DnsStatsClient[]
  /** the first 10 */
  top_domains: DnsStatsDomain[]
  total_queries: number
}

export interface DnsStatsBucket {
  blocked: number
  queries: number
  /** its begin, a multiple of the step */
  timestamp: number
}

export interface DnsStatsClient {
  blocked: number
  client: string
  queries: number
}

export interface DnsStatsDomain {
  domain: string
  queries: number
}

export interface Failure {
  code: "BAD_REQUEST" | "CONFLICT" | "DEVICE_OFFLINE" | "FORBIDDEN" | "INTERNAL_ERROR" | "INVALID_CONFIG" | "METHOD_NOT_ALLOWED" | "NOT_FOUND" | "PAYLOAD_TOO_LARGE" | "PLAN_LIMIT" | "PRECONDITION_FAILED" | "RATE_LIMIT" | "REQUEST_TIMEOUT" | "UNAUTHORIZED" | "UNAVAILABLE" | "UNSUPPORTED_MEDIA_TYPE" | "UPGRADE_REQUIRED"
  details: {
    limit_info?: {
      current: number
      limit: number
      reset_at: number | null
    }
    validation_errors?: {
      field: string
      message: string
    }[]
  }
  /** JSON path of the first wrong field. */
  field?: string
  message: string
}

export interface ErrorEnvelope {
  error: Failure
}

export interface Explanation {
  action: string
  /** that the router enforces */
  policy_revision: number
  reason: string
  rule_id: number | null
  stages: Stage[]
}

export interface Finding {
  /** shadowed, redundant, conflict, unreachable, undecided */
  kind: string
  /** the rule that decides instead */
  other_id?: number
  reason?: string
  rule_id: number
  witness?: Packet
  /** of the witness */
  zone_from?: string
  zone_to?: string
}

export interface FirewallRule {
  /** accept, drop, reject */
  action: string
  /** In a create alone: the rule to stand before, as ?before= says it too. */
  before?: number
  /** default any */
  destination?: string
  /** default true */
  enabled?: boolean
  hit_bytes: number
  hits: number
  icmp_types: string[]
  id: number
  /** Unix seconds */
  last_hit: number | null
  log: boolean
  name: string
  /** default * */
  port?: string
  /** default all */
  protocol?: string
  schedule?: Schedule
  /** default any */
  source?: string
  zone_from: string
  zone_to: string
}

export interface FirewallRuleWrite {
  /** accept, drop, reject */
  action?: string
  /** In a create alone: the rule to stand before, as ?before= says it too. */
  before?: number | null
  /** default any */
  destination?: string | null
  /** default true */
  enabled?: boolean | null
  hit_bytes?: number
  hits?: number
  icmp_types?: string[]
  id?: number
  /** Unix seconds */
  last_hit?: number | null
  log?: boolean
  name?: string
  /** default * */
  port?: string | null
  /** default all */
  protocol?: string | null
  schedule?: ScheduleWrite | null
  /** default any */
  source?: string | null
  zone_from?: string
  zone_to?: string
}

export interface Group {
  id: number
  members: string[]
  /** rules refer to it as @name */
  name: string
  /** address, port, mac */
  type: string
}

export interface GroupWrite {
  id?: number
  members?: string[]
  /** rules refer to it as @name */
  name?: string
  /** address, port, mac */
  type?: string
}

export interface Hardware {
  cpu?: HardwareCpu
  fans: HardwareFan[]
  interfaces: HardwareHardwareInterface[]
  memory?: HardwareMemory
  model: string
  serial: string
  storage: HardwareStorage[]
  temperature_sensors: HardwareTemperatureSensor[]
}

export interface HardwareCpu {
  cores: number
  frequency_mhz: number
  model: string
  usage_percent: number
}

export interface HardwareFan {
  name: string
  percent?: number
  rpm: number
}

export interface HardwareHardwareInterface {
  driver: string
  duplex?: string
  link: boolean
  name: string
  speed_mbps?: number
}

export interface HardwareMemory {
  free_mb: number
  percent_used: number
  total_mb: number
  used_mb: number
}

export interface HardwareStorage {
  device: string
  filesystem: string
  mount_point: string
  percent_used: number
  total_mb: number
  used_mb: number
}

export interface HardwareTemperatureSensor {
  critical_c?: number
  name: string
  temperature_c: number
}

export interface Health {
  parts: Record<string, string>
  status: "ok" | "failing" | "stopping"
}

export interface IDSCategory {
  description: string
  enabled?: boolean
  id: string
  /** detect, prevent, disabled */
  mode?: string
  name: string
  /** that the router has loaded, with the custom ones */
  rule_count: number
}

export interface IDSCategoryWrite {
  description?: string
  enabled?: boolean | null
  id?: string
  /** detect, prevent, disabled */
  mode?: string | null
  name?: string
  /** that the router has loaded, with the custom ones */
  rule_count?: number
}

export interface IDSConfig {
  /** alerts a minute of one rule and source; 0: all */
  alert_threshold: number
  enabled: boolean
  excluded_networks: string[]
  /** none: what is not home */
  external_networks: string[]
  /** default true */
  fail_open?: boolean
  /** none: the private ranges */
  home_networks: string[]
  /** none: all */
  interfaces: string[]
  /** detect, prevent; ids and ips are accepted */
  mode?: string
  sources: IDSSource[]
  /** seconds, 3600 to 604800; default 86400 */
  update_interval?: number
  /** of addresses, or of ports where the name ends in _PORTS */
  variables: Record<string, string>
}

export interface IDSConfigWrite {
  /** alerts a minute of one rule and source; 0: all */
  alert_threshold?: number
  enabled?: boolean
  excluded_networks?: string[]
  /** none: what is not home */
  external_networks?: string[]
  /** default true */
  fail_open?: boolean | null
  /** none: the private ranges */
  home_networks?: string[]
  /** none: all */
  interfaces?: string[]
  /** detect, prevent; ids and ips are accepted */
  mode?: string | null
  sources?: IDSSourceWrite[]
  /** seconds, 3600 to 604800; default 86400 */
  update_interval?: number | null
  /** of addresses, or of ports where the name ends in _PORTS */
  variables?: Record<string, string>
}

export interface IDSRule {
  /** default: by the rule's classtype */
  category?: string
  /** default true */
  enabled?: boolean
  id: number
  name: string
  /** Suricata's text */
  rule: string
  /** of the text */
  sid: number
}

export interface IDSRuleWrite {
  /** default: by the rule's classtype */
  category?: string | null
  /** default true */
  enabled?: boolean | null
  id?: number
  name?: string
  /** Suricata's text */
  rule?: string
  /** of the text */
  sid?: number
}

export interface IDSSource {
  /** default true */
  enabled?: boolean
  file?: string
  name: string
  sha256?: string
  url?: string
}

export interface IDSSourceWrite {
  /** default true */
  enabled?: boolean | null
  file?: string | null
  name?: string
  sha256?: string | null
  url?: string | null
}

export interface IDSSuppression {
  created_at: number
  /** default 1 */
  gid?: number
  id: number
  /** address or CIDR; with track */
  ip?: string
  reason?: string
  sid: number
  /** by_src, by_dst, by_either; without: all alerts of the rule */
  track?: string
}

export interface IDSSuppressionWrite {
  created_at?: number
  /** default 1 */
  gid?: number | null
  id?: number
  /** address or CIDR; with track */
  ip?: string | null
  reason?: string | null
  sid?: number
  /** by_src, by_dst, by_either; without: all alerts of the rule */
  track?: string | null
}

export interface IdsAlert {
  /** allowed, blocked */
  action: string
  app_proto?: string
  category: string
  destination_ip: string
  destination_port: number
  device_id: string
  /** of the flow's rows in the traffic log */
  flow_id: string
  id: string
  metadata: Record<string, string>
  /** base64 of the payload's beginning */
  payload_preview?: string
  protocol: string
  /** low, medium, high, critical */
  severity: string
  signature: string
  signature_id: number
  source_ip: string
  source_port: number
  /** Unix seconds with fraction */
  timestamp: number
}

export interface InterfaceStatus {
  /** CIDR */
  ip?: string
  /** CIDR, a global address before a link-local one */
  ip6?: string
  mac?: string
  mtu: number
  name: string
  rx_bytes: number
  rx_rate: number
  /** up, down, unknown */
  status: string
  tx_bytes: number
  tx_rate: number
}

export interface LogEntry {
  /** accept, drop, reject */
  action: string
  app?: string
  as_name?: string
  /** autonomous system of the outer address, as the cloud's database has it now */
  asn?: number
  bytes: number
  bytes_received: number
  bytes_sent: number
  /** flows this row stands for */
  count: number
  destination_ip: string
  destination_port: number
  device_id: string
  duration_ms?: number
  /** open, update, close, refused */
  event: string
  flow_id: string
  geo?: string
  hostname?: string
  icmp_code?: number
  icmp_type?: number
  /** unique per row */
  id: string
  /** where the flow came in; "self" for the router's own */
  interface: string
  nat?: NatTuple
  packets: number
  policy_revision: number
  protocol: string
  /** rule, policy, default, system:NAME, no_zone, no_state, malformed … */
  reason: string
  /** absent: a policy, the default or a system rule decided */
  rule_id?: number
  rule_name?: string
  source_ip: string
  source_mac?: string
  source_port: number
  /** of source_mac */
  source_vendor?: string
  threat?: string
  /** Unix seconds with fraction */
  timestamp: number
  zone_from: string
  zone_to: string
}

export interface LogExplanation {
  /** who made that revision */
  author: string
  /** of the policy */
  revision: number
  /** null: no rule decided */
  rule: FirewallRule | null
  /** the deciding rule or policy in a sentence */
  text: string
  /** when, Unix seconds */
  time: number
}

export interface LoginRequest {
  /** keep the refresh token in an HttpOnly cookie: for browsers */
  cookie?: boolean
  email?: string
  password?: string
}

export interface LogoutRequest {
  refresh_token?: string
}

export interface LogsResponse {
  logs: LogEntry[]
  /** absent: this is the last page */
  next_cursor?: string
  total: number
  /** false: there are more than total */
  total_exact?: boolean
}

export interface MetricsRates {
  rx_rate: number
  tx_rate: number
}

export interface MetricsSample {
  connections: number
  cpu: number
  /** those that were there */
  interfaces: Record<string, MetricsRates>
  memory: number
  temperature: number | null
  /** when the step began, Unix seconds */
  timestamp: number
}

export interface NATRule {
  /** In a create alone: the rule to stand before, as ?before= says it too. */
  before?: number
  bytes: number
  /** default any */
  destination?: string
  destination_port?: string
  /** default true */
  enabled?: boolean
  /** In writes alone, the short form of a port forward, which becomes a dnat. a port or a range, as a number or a text */
  external_port?: unknown
  /** default true */
  hairpin?: boolean
  id: number
  /** that it arrives by, or leaves by where its source is translated */
  interface?: string
  internal_ip?: string
  /** default external_port */
  internal_port?: unknown
  log: boolean
  name: string
  /** dnat, snat, 1:1, masquerade, netmap */
  nat_type?: string
  packets: number
  /** default all; in the short form tcp, udp, both */
  protocol?: string
  /** default any */
  source?: string
  source_port?: string
  translate_port?: string
  translate_to?: string
}

export interface NATRuleWrite {
  /** In a create alone: the rule to stand before, as ?before= says it too. */
  before?: number | null
  bytes?: number
  /** default any */
  destination?: string | null
  destination_port?: string | null
  /** default true */
  enabled?: boolean | null
  /** In writes alone, the short form of a port forward, which becomes a dnat. a port or a range, as a number or a text */
  external_port?: unknown | null
  /** default true */
  hairpin?: boolean | null
  id?: number
  /** that it arrives by, or leaves by where its source is translated */
  interface?: string | null
  internal_ip?: string | null
  /** default external_port */
  internal_port?: unknown | null
  log?: boolean
  name?: string
  /** dnat, snat, 1:1, masquerade, netmap */
  nat_type?: string | null
  packets?: number
  /** default all; in the short form tcp, udp, both */
  protocol?: string | null
  /** default any */
  source?: string | null
  source_port?: string | null
  translate_port?: string | null
  translate_to?: string | null
}

export interface NatTuple {
  destination_ip: string
  destination_port: number
  source_ip: string
  source_port: number
}

export interface OperationError {
  code: string
  field: string
  message: string
}

export interface OperationStarted {
  operation_id: string
  /** sent: to a router; pending: in the cloud */
  status: string
}

export interface OrderNATRulesRequest {
  rule_ids?: number[]
}

export interface OrderRulesRequest {
  rule_ids?: number[]
}

export interface Packet {
  dport?: number
  dst: string
  icmp_code?: number
  icmp_type?: number
  in?: string
  out?: string
  /** tcp, udp, icmp …, or a number */
  protocol: string
  sport?: number
  src: string
  src_mac?: string
  /** Unix seconds, default now */
  time?: number
  vlan?: number
}

export interface PacketBox {
  destination: string
  icmp_types?: string
  /** interfaces; empty: the zone has none yet */
  in: string[]
  /** what this NAT rule gives its destination, as rules see it; the witness is as it arrives */
  nat_rule_id?: number
  out: string[]
  port: string
  protocol: string
  source: string
  /** "mac:…,mac:…", with "!" before: none of them */
  source_mac?: string
  source_port?: string
  /** where the interfaces come from another zone; "none": from none */
  was_zone_from?: string
  was_zone_to?: string
  /** "Mon 08:00-Mon 17:00", local, the last minute included; empty: always */
  when: string[]
  zone_from: string
  zone_to: string
}

export interface PacketWrite {
  dport?: number | null
  dst?: string
  icmp_code?: number | null
  icmp_type?: number | null
  in?: string | null
  out?: string | null
  /** tcp, udp, icmp …, or a number */
  protocol?: string
  sport?: number | null
  src?: string
  src_mac?: string | null
  /** Unix seconds, default now */
  time?: number | null
  vlan?: number | null
}

export interface PolicyChangeWrite {
  /** Any JSON value. */
  body?: unknown | null
  id?: number | null
  /** create, update, delete, reorder */
  op?: string
  /** rule, policy, zone, group, nat */
  resource?: string
}

export interface PreviousTraffic {
  bytes: number
  connections: number
}

export interface Problem {
  detail: string
  error: Failure
  status: number
  title: string
  type: string
}

export interface Profile {
  avatar_url?: string
  created_at: number
  email: string
  email_verified: boolean
  id: string
  name?: string
  organization_id?: string
  plan: string
}

export interface QoSCakeOptions {
  ack_filter?: boolean
  /** triple-isolate, dual-srchost, dual-dsthost, hosts, flows; default triple-isolate */
  isolation?: string
  /** default true */
  nat?: boolean
  /** 1 to 1000; default 100 */
  rtt_ms?: number
  wash?: boolean
}

export interface QoSCakeOptionsWrite {
  ack_filter?: boolean | null
  /** triple-isolate, dual-srchost, dual-dsthost, hosts, flows; default triple-isolate */
  isolation?: string | null
  /** default true */
  nat?: boolean | null
  /** 1 to 1000; default 100 */
  rtt_ms?: number | null
  wash?: boolean | null
}

export interface QoSClass {
  applications: string[]
  /** 0 to 63; a write may have names, such as EF */
  dscp_markings: unknown[]
  /** all of them together fit the link */
  guaranteed_mbps?: number
  id: number
  max_mbps?: number
  name: string
  /** of the destination: 443, "8000-8080", "udp/5060" */
  ports: unknown[]
  /** 0, served first, to 7; required */
  priority?: number
  stats?: QoSClassStats
}

export interface QoSClassStats {
  /** bytes that wait now */
  backlog: number
  bytes: number
  /** packets */
  dropped: number
  /** packets that were let pass with a mark for congestion (ECN) */
  marked: number
  packets: number
  /** the discipline in force: bfifo, fq_codel, cake; the poorer where uplinks differ */
  queue: string
}

export interface QoSClassStatsWrite {
  /** bytes that wait now */
  backlog?: number
  bytes?: number
  /** packets */
  dropped?: number
  /** packets that were let pass with a mark for congestion (ECN) */
  marked?: number
  packets?: number
  /** the discipline in force: bfifo, fq_codel, cake; the poorer where uplinks differ */
  queue?: string
}

export interface QoSClassWrite {
  applications?: string[]
  /** 0 to 63; a write may have names, such as EF */
  dscp_markings?: unknown[]
  /** all of them together fit the link */
  guaranteed_mbps?: number | null
  id?: number
  max_mbps?: number | null
  name?: string
  /** of the destination: 443, "8000-8080", "udp/5060" */
  ports?: unknown[]
  /** 0, served first, to 7; required */
  priority?: number | null
  stats?: QoSClassStatsWrite | null
}

export interface QoSConfig {
  /** with scheduler cake alone */
  cake_options?: QoSCakeOptions
  download_mbps: number
  enabled: boolean
  /** fq_codel, htb, cake; default fq_codel */
  scheduler?: string
  /** of each uplink; required to enable */
  upload_mbps: number
}

export interface QoSConfigWrite {
  /** with scheduler cake alone */
  cake_options?: QoSCakeOptionsWrite | null
  download_mbps?: number
  enabled?: boolean
  /** fq_codel, htb, cake; default fq_codel */
  scheduler?: string | null
  /** of each uplink; required to enable */
  upload_mbps?: number
}

export interface QoSDeviceLimit {
  download_mbps?: number
  hostname?: string
  /** in a write the path says it */
  mac: string
  /** 0 to 7, of what no class matches */
  priority?: number
  upload_mbps?: number
}

export interface QoSDeviceLimitWrite {
  download_mbps?: number | null
  hostname?: string | null
  /** in a write the path says it */
  mac?: string
  /** 0 to 7, of what no class matches */
  priority?: number | null
  upload_mbps?: number | null
}

export interface RefreshRequest {
  from_cookie?: boolean
  refresh_token?: string
}

export interface RegisterDeviceRequest {
  location?: string | null
  model?: string | null
  name?: string
  notes?: string | null
  tags?: string[]
}

export interface RegisteredDevice {
  api_key: string
  connect_url: string
  created_at: number
  firmware_version: string
  id: string
  last_seen: number | null
  location?: string
  mode: string
  model: string
  name: string
  notes?: string
  serial: string
  status: string
  tags: string[]
  time_zone: string
}

export interface Schedule {
  /** 0 = Sunday; empty means every day */
  days: number[]
  enabled: boolean
  /** "HH:MM", minute included, default 23:59 */
  end?: string
  /** "HH:MM", router's time zone, default 00:00 */
  start?: string
}

export interface ScheduleWrite {
  /** 0 = Sunday; empty means every day */
  days?: number[]
  enabled?: boolean
  /** "HH:MM", minute included, default 23:59 */
  end?: string | null
  /** "HH:MM", router's time zone, default 00:00 */
  start?: string | null
}

export interface SimulateRequest {
  packet?: PacketWrite | null
}

export interface Stage {
  reason: string
  /** pass, accept, drop, reject, snat, masquerade */
  result: string
  stage: string
}

export type StreamFrame = {
  cursor: string
  data: LogEntry
  type: "log"
} | {
  cursor: string
  data: IdsAlert
  type: "alert"
} | {
  type: "heartbeat"
} | {
  /** Rows that a slow reader lost. */
  count: number
  type: "dropped"
} | {
  from: string
  to: string
  type: "gap"
} | {
  filter: Record<string, unknown>
  type: "filter"
} | {
  error: Failure
  type: "error"
}

export interface StreamTicket {
  /** seconds */
  expires_in: number
  /** for one stream: ?ticket= */
  ticket: string
}

export type StreamTicketRequest = Record<string, unknown>

export interface SystemStatus {
  /** conntrack entries */
  connections: number
  cpu: number
  firmware: string
  interfaces: InterfaceStatus[]
  /** 1, 5, 15 minutes */
  load: number[]
  memory: number
  /** null: the machine has no sensor */
  temperature: number | null
  /** seconds */
  uptime: number
  wan_ip: string | null
}

export interface TokenResponse {
  access_token: string
  /** seconds */
  expires_in: number
  /** empty where a cookie holds it */
  refresh_token: string
  /** Bearer */
  token_type: string
}

export interface TopApplication {
  app: string
  bytes: number
  connections: number
  previous?: PreviousTraffic
}

export interface TopClient {
  connections: number
  hostname?: string
  ip: string
  mac?: string
  /** with compare=previous, where the log reaches back that far */
  previous?: TopClientPrevious
  /** to the client */
  rx_bytes: number
  tx_bytes: number
}

export interface TopClientPrevious {
  connections: number
  rx_bytes: number
  tx_bytes: number
}

export interface TopCountry {
  bytes: number
  connections: number
  country_code: string
  country_name: string
  previous?: PreviousTraffic
}

export interface TopDestination {
  bytes: number
  connections: number
  geo?: string
  hostname?: string
  ip: string
  previous?: PreviousTraffic
}

export interface TopRule {
  bytes: number
  connections: number
  device_id: string
  previous?: PreviousTraffic
  rule_id: number
  /** the last that the rule had in the span */
  rule_name: string
}

export interface TopThreat {
  /** flows of it that were refused or cut off */
  blocked: number
  bytes: number
  connections: number
  previous?: PreviousTraffic
  threat: string
}

export interface TrafficStats {
  /** connections, by what became of them */
  accepted: number
  /** the first 100 by bytes */
  by_application: TrafficStatsApplication[]
  /** the first 100 by bytes */
  by_geo: TrafficStatsCountry[]
  by_protocol: TrafficStatsProtocol[]
  dropped: number
  from: number
  over_time: TrafficStatsBucket[]
  /** with compare=previous, where the log reaches back that far */
  previous?: TrafficStatsPrevious
  rejected: number
  threats_blocked: number
  to: number
  total_bytes: number
  total_connections: number
  total_packets: number
}

export interface TrafficStatsApplication {
  app: string
  bytes: number
  connections: number
}

export interface TrafficStatsBucket {
  accepted: number
  /** from WAN */
  bytes_in: number
  /** to WAN */
  bytes_out: number
  /** without rejected ones */
  dropped: number
  packets: number
  rejected: number
  /** its begin, a multiple of the step */
  timestamp: number
}

export interface TrafficStatsCountry {
  bytes: number
  connections: number
  country_code: string
  country_name: string
}

export interface TrafficStatsPrevious {
  accepted: number
  dropped: number
  from: number
  rejected: number
  threats_blocked: number
  to: number
  total_bytes: number
  total_connections: number
  total_packets: number
}

export interface TrafficStatsProtocol {
  bytes: number
  packets: number
  protocol: string
}

export interface UPnPLease {
  client: string
  /** Unix seconds */
  created_at: number
  description: string
  expires_at?: number
  external_port: number
  id: string
  internal_ip: string
  internal_port: number
  protocol: string
}

export interface Zone {
  id: number
  interfaces: string[]
  masquerade: boolean
  mss_clamping: boolean
  name: string
}

export interface ZonePolicy {
  action: string
  from: string
  log: boolean
  to: string
}

export interface ZonePolicyWrite {
  action?: string
  from?: string
  log?: boolean
  to?: string
}

export interface ZoneWrite {
  id?: number
  interfaces?: string[]
  masquerade?: boolean
  mss_clamping?: boolean
  name?: string
}
