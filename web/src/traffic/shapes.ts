// Answers of statistics and rankings.
export interface Totals {
  from: number
  to: number
  total_bytes: number
  total_packets: number
  total_connections: number
  accepted: number
  dropped: number
  rejected: number
  threats_blocked: number
}

export interface Bucket {
  timestamp: number
  bytes_in: number
  bytes_out: number
  packets: number
  accepted: number
  dropped: number
}

export interface TrafficStats extends Totals {
  over_time: Bucket[]
  previous?: Totals
}

export interface Explanation {
  rule: { id: number; name: string } | null
  revision: number
  author: string
  time: number
  text: string
}
