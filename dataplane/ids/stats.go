package ids

// Stats are the worker's counters under the names of Suricata's stats events.
func (w *Worker) Stats() map[string]uint64 {
	s, d := w.budget.Counters, w.defrag.Counters
	return map[string]uint64{
		"decoder.pkts": w.Counters.Packets, "decoder.bytes": w.Counters.Bytes, "decoder.invalid": w.Counters.Invalid,
		"flow.total": w.Counters.Flows, "flow.elephant": w.Counters.Elephants, "flow.active": uint64(len(w.flows.flows)), "flow.get_used": w.Counters.Evicted,
		"detect.alert": w.Counters.Alerts, "ips.blocked": w.Counters.Dropped, "ips.rejected": w.Counters.Rejected,
		"defrag.fragments": d.Fragments, "defrag.reassembled": d.Reassembled, "defrag.timeouts": d.TimedOut, "defrag.evicted": d.Evicted, "defrag.memuse": uint64(w.defrag.Held()),
		"tcp.sessions": s.Sessions, "tcp.midstream_pickups": s.Midstream, "tcp.rst": s.Resets, "tcp.segments": s.Segments,
		"tcp.overlap": s.Overlaps, "tcp.overlap_diff_data": s.DifferentData, "tcp.reassembly_gap": s.Gaps, "tcp.gap_bytes": s.GapBytes,
		"tcp.reassembly_memuse": uint64(w.budget.Bytes), "tcp.segment_refused": s.MemoryRefused, "tcp.invalid_checksum": w.Counters.BadChecksums,
		"tcp.out_of_window": s.OutOfWindow, "tcp.retransmissions": s.Retransmitted, "tcp.invalid": s.Invalid,
		"exceptions.panics": w.Counters.Panics, "app_layer.error": w.Counters.GaveUp, "flow.memcap": w.Counters.Refused, "tcp.segment_memcap_drop": s.MemoryFull,
	}
}
