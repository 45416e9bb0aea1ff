package rule

// numbered gives each name its place; "" skips one.
func numbered(names ...string) map[string]uint64 {
	m := make(map[string]uint64, len(names))
	for i, name := range names {
		if name != "" {
			m[name] = uint64(i)
		}
	}
	return m
}

var ldapOperations = func() map[string]uint64 {
	m := numbered("bind_request", "bind_response", "unbind_request", "search_request", "search_result_entry", "search_result_done",
		"modify_request", "modify_response", "add_request", "add_response", "del_request", "del_response", "mod_dn_request",
		"mod_dn_response", "compare_request", "compare_response", "abandon_request")
	m["search_result_reference"], m["extended_request"], m["extended_response"], m["intermediate_response"] = 19, 23, 24, 25
	return m
}()

var ldapResults = func() map[string]uint64 {
	m := numbered("success", "operations_error", "protocol_error", "time_limit_exceeded", "size_limit_exceeded", "compare_false",
		"compare_true", "auth_method_not_supported", "stronger_auth_required", "", "referral", "admin_limit_exceeded",
		"unavailable_critical_extension", "confidentiality_required", "sasl_bind_in_progress", "", "no_such_attribute",
		"undefined_attribute_type", "inappropriate_matching", "constraint_violation", "attribute_or_value_exists", "invalid_attribute_syntax")
	for name, code := range map[string]uint64{
		"no_such_object": 32, "alias_problem": 33, "invalid_dns_syntax": 34, "is_leaf": 35, "alias_dereferencing_problem": 36,
		"inappropriate_authentication": 48, "invalid_credentials": 49, "insufficient_access_rights": 50, "busy": 51, "unavailable": 52,
		"unwilling_to_perform": 53, "loop_detect": 54, "sort_control_missing": 60, "offset_range_error": 61, "naming_violation": 64,
		"object_class_violation": 65, "not_allowed_on_non_leaf": 66, "not_allowed_on_rdn": 67, "entry_already_exists": 68,
		"object_class_mods_prohibited": 69, "results_too_large": 70, "affects_multiple_dsas": 71, "control_error": 76, "other": 80,
		"server_down": 81, "local_error": 82, "encoding_error": 83, "decoding_error": 84, "timeout": 85, "auth_unknown": 86,
		"filter_error": 87, "user_canceled": 88, "param_error": 89, "no_memory": 90, "connect_error": 91, "not_supported": 92,
		"control_not_found": 93, "no_results_returned": 94, "more_results_to_return": 95, "client_loop": 96, "referral_limit_exceeded": 97,
		"invalid_response": 100, "ambiguous_response": 101, "tls_not_supported": 112, "intermediate_response": 113, "unknown_type": 114,
		"canceled": 118, "no_such_operation": 119, "too_late": 120, "cannot_cancel": 121, "assertion_failed": 122,
		"authorization_denied": 123, "e_sync_refresh_required": 4096, "no_operation": 16654,
	} {
		m[name] = code
	}
	return m
}()

var mqttTypes = numbered("unassigned", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe",
	"suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth")

var dnsTypes = map[string]uint64{
	"a": 1, "ns": 2, "md": 3, "mf": 4, "cname": 5, "soa": 6, "mb": 7, "mg": 8, "mr": 9, "null": 10, "wks": 11, "ptr": 12, "hinfo": 13,
	"minfo": 14, "mx": 15, "txt": 16, "rp": 17, "afsdb": 18, "x25": 19, "isdn": 20, "rt": 21, "nsap": 22, "nsapptr": 23, "sig": 24,
	"key": 25, "px": 26, "gpos": 27, "aaaa": 28, "loc": 29, "nxt": 30, "srv": 33, "atma": 34, "naptr": 35, "kx": 36, "cert": 37,
	"a6": 38, "dname": 39, "opt": 41, "apl": 42, "ds": 43, "sshfp": 44, "ipseckey": 45, "rrsig": 46, "nsec": 47, "dnskey": 48,
	"dhcid": 49, "nsec3": 50, "nsec3param": 51, "tlsa": 52, "hip": 55, "cds": 59, "cdnskey": 60, "https": 65, "svcb": 64, "spf": 99,
	"tkey": 249, "tsig": 250, "maila": 254, "any": 255, "uri": 256,
}

var enipCommands = map[string]uint64{
	"nop": 0, "list_services": 4, "list_identity": 99, "list_interfaces": 100, "register_session": 101, "unregister_session": 102,
	"send_rr_data": 111, "send_unit_data": 112, "indicate_status": 114, "cancel": 115,
}

var enipStatus = map[string]uint64{
	"success": 0, "invalid_cmd": 1, "no_resources": 2, "incorrect_data": 3, "invalid_session": 100, "invalid_length": 101,
	"unsupported_prot_rev": 105, "encap_header_error": 106,
}

// integerKeywords are the keywords that compare a number, by their canonical
// names; integerAliases are other names of theirs.
var integerKeywords = func() map[string]*integerSpec {
	var (
		dhcp, dns, doh, enip, http2 = appSet("dhcp"), appSet("dns"), appSet("doh2"), appSet("enip"), appSet("http2", "doh2")
		ike, krb5, ldap, mqtt, nfs  = appSet("ike"), appSet("krb5"), appSet("ldap"), appSet("mqtt"), appSet("nfs")
		ntp, snmp, tls, ws          = appSet("ntp"), appSet("snmp"), appSet("tls"), appSet("websocket")
		ftp, rfb, smb               = appSet("ftp"), appSet("rfb"), appSet("smb")
	)
	dns |= doh
	m := map[string]*integerSpec{
		"dsize": {bits: 16, packet: true}, "ttl": {bits: 8, packet: true}, "tos": {bits: 8, packet: true}, "id": {bits: 16, packet: true},
		"itype": {bits: 8, packet: true}, "icode": {bits: 8, packet: true}, "icmp_id": {bits: 16, packet: true}, "icmp_seq": {bits: 16, packet: true},
		"icmpv6.mtu": {bits: 32, packet: true}, "seq": {bits: 32, packet: true}, "ack": {bits: 32, packet: true},
		"window": {bits: 16, packet: true}, "tcp.mss": {bits: 16, packet: true}, "tcp.wscale": {bits: 8, packet: true},
		"fragoffset": {bits: 16, packet: true}, "vlan.id": {bits: 16, many: true, packet: true}, "vlan.layers": {bits: 8, packet: true},
		"igmp.type": {bits: 8, packet: true},

		"flow.age": {bits: 32},
		"filesize": {bits: 64},

		"dns.opcode": {bits: 8, apps: dns, names: map[string]uint64{"query": 0, "iquery": 1, "status": 2, "notify": 4, "update": 5}},
		"dns.rcode": {bits: 16, apps: dns, names: map[string]uint64{"noerror": 0, "formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4,
			"refused": 5, "yxdomain": 6, "yxrrset": 7, "nxrrset": 8, "notauth": 9, "notzone": 10, "badvers": 16, "badsig": 16, "badkey": 17,
			"badtime": 18, "badmode": 19, "badname": 20, "badalg": 21, "badtrunc": 22}},
		"dns.rrtype": {bits: 16, apps: dns, names: dnsTypes, many: true},

		"dhcp.leasetime": {bits: 64, apps: dhcp}, "dhcp.rebinding_time": {bits: 64, apps: dhcp}, "dhcp.renewal_time": {bits: 64, apps: dhcp},

		"tls.cert_chain_len": {bits: 32, apps: tls},

		"http2.frametype": {bits: 8, apps: http2, many: true, names: numbered("data", "headers", "priority", "rststream", "settings", "pushpromise", "ping", "goaway", "windowupdate", "continuation")},
		"http2.errorcode": {bits: 32, apps: http2, many: true, names: numbered("no_error", "protocol_error", "internal_error", "flow_control_error",
			"settings_timeout", "stream_closed", "frame_size_error", "refused_stream", "cancel", "compression_error", "connect_error",
			"enhance_your_calm", "inadequate_security", "http_1_1_required")},
		"http2.priority": {bits: 8, apps: http2, many: true}, "http2.window": {bits: 32, apps: http2, many: true}, "http2.size_update": {bits: 64, apps: http2, many: true},

		"ike.exchtype": {bits: 8, apps: ike}, "ike.key_exchange_payload_length": {bits: 32, apps: ike}, "ike.nonce_payload_length": {bits: 32, apps: ike},

		"krb5_msg_type": {bits: 8, apps: krb5}, "krb5_err_code": {bits: 32, apps: krb5},

		"ldap.request.operation": {bits: 8, apps: ldap, names: ldapOperations}, "ldap.responses.operation": {bits: 8, apps: ldap, names: ldapOperations, many: true},
		"ldap.responses.count": {bits: 32, apps: ldap}, "ldap.responses.result_code": {bits: 32, apps: ldap, names: ldapResults, many: true},

		"mqtt.type": {bits: 8, apps: mqtt, names: mqttTypes, many: true}, "mqtt.protocol_version": {bits: 8, apps: mqtt},
		"mqtt.reason_code": {bits: 8, apps: mqtt, many: true}, "mqtt.qos": {bits: 8, apps: mqtt, many: true},
		"mqtt.flags": {bits: 8, apps: mqtt, flags: true, names: map[string]uint64{"dup": 8, "retain": 1}},
		"mqtt.connect.flags": {bits: 8, apps: mqtt, flags: true, names: map[string]uint64{"username": 128, "password": 64, "will_retain": 32,
			"will": 4, "clean_session": 2}},

		"nfs_procedure": {bits: 32, apps: nfs}, "nfs_version": {bits: 32, apps: nfs},

		"ntp.mode":    {bits: 8, apps: ntp, names: numbered("reserved", "symmetric_active", "symmetric_passive", "client", "server", "broadcast", "control", "private")},
		"ntp.stratum": {bits: 8, apps: ntp}, "ntp.version": {bits: 8, apps: ntp},

		"snmp.version":  {bits: 32, apps: snmp},
		"snmp.pdu_type": {bits: 32, apps: snmp, names: numbered("get_request", "get_next_request", "response", "set_request", "trap_v1", "get_bulk_request", "inform_request", "trap_v2", "report")},

		"rfb.sectype": {bits: 32, apps: rfb}, "rfb.secresult": {bits: 32, apps: rfb, names: map[string]uint64{"ok": 0, "fail": 1, "toomany": 2}},

		"websocket.opcode": {bits: 8, apps: ws, names: map[string]uint64{"continuation": 0, "text": 1, "binary": 2, "connection_close": 8, "ping": 9, "pong": 10}},
		"websocket.mask":   {bits: 32, apps: ws},
		"websocket.flags":  {bits: 8, apps: ws, flags: true, names: map[string]uint64{"fin": 128, "comp": 64}},

		"ftp.dynamic_port": {bits: 16, apps: ftp},

		"enip_command": {bits: 16, apps: enip, names: enipCommands}, "enip.status": {bits: 32, apps: enip, names: enipStatus},

		"smb.version": {bits: 8, apps: smb},
	}
	for name, bits := range map[string]int{
		"protocol_version": 16, "cip_extendedstatus": 16, "revision": 16, "identity_status": 16, "state": 8, "serial": 32,
		"product_code": 16, "device_type": 16, "vendor_id": 16, "capabilities": 16, "cip_status": 8, "cip_attribute": 32, "cip_instance": 32, "cip_class": 32,
	} {
		m["enip."+name] = &integerSpec{bits: bits, apps: enip, many: name[:4] == "cip_"}
	}
	return m
}()

var integerAliases = map[string]string{
	"tcp.seq": "seq", "tcp.ack": "ack", "tcp.window": "window", "enip.command": "enip_command",
	"krb5.msg_type": "krb5_msg_type", "krb5.err_code": "krb5_err_code", "nfs.procedure": "nfs_procedure", "nfs.version": "nfs_version",
	"mqtt.connack.return_code": "mqtt.reason_code", "file.size": "filesize",
}
