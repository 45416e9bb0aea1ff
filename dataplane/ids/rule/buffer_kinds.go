package rule

// bufferTable has every kind of buffer. Names of the older rule language are in
// bufferAliases; keywords that look back at a content are in contentModifiers.
var bufferTable = func() []*BufferKind {
	var table []*BufferKind
	const (
		server = 1 << iota
		client
		many
		lower
		upper
		only
		weak
		both = server | client
	)
	add := func(layer Layer, apps AppSet, kinds map[string]int) {
		for name, f := range kinds {
			k := &BufferKind{Name: name, Layer: layer, Apps: apps, ToServer: f&server != 0, ToClient: f&client != 0, Many: f&many != 0, Weak: f&weak != 0}
			switch {
			case f&lower != 0:
				k.Case = LowerCase
			case f&upper != 0:
				k.Case = UpperCase
			case f&only != 0:
				k.Case = OnlyLower
			}
			table = append(table, k)
		}
	}
	add(Header, 0, map[string]int{
		"tcp.hdr": both, "udp.hdr": both, "ipv4.hdr": both, "ipv6.hdr": both, "icmpv4.hdr": both, "icmpv6.hdr": both,
		"ip.src": both, "ip.dst": both, "ether.hdr": both, "arp.hdr": both, "igmp.hdr": both,
	})
	add(FrameData, 0, map[string]int{"frame": both})
	add(DecodedData, 0, map[string]int{"base64_data": both})

	http := appSet("http1", "http2", "doh2")
	add(InnerApp, http, map[string]int{
		"http.uri": server, "http.uri.raw": server, "http.method": server | weak, "http.request_line": server, "http.request_body": server,
		"http.host": server | only, "http.host.raw": server, "http.user_agent": server, "http.referer": server,
		"http.accept": server | weak, "http.accept_enc": server | weak, "http.accept_lang": server | weak,
		"http.header": both, "http.header.raw": both, "http.header_names": both, "http.cookie": both, "http.connection": both | weak,
		"http.content_type": both, "http.content_len": both, "http.protocol": both | weak, "http.start": both,
		"http.request_header": server | many, "http.response_header": client | many,
		"http.stat_code": client | weak, "http.stat_msg": client | weak, "http.response_line": client, "http.response_body": client,
		"http.server": client, "http.location": client,
	})
	add(InnerApp, appSet("http2", "doh2"), map[string]int{"http2.header_name": both | many, "http2.header": both | many})

	files := appSet("http1", "http2", "doh2", "smtp", "ftp-data", "ftp", "nfs", "smb")
	add(FileData, files, map[string]int{"file.data": both | many, "file.name": both | many, "file.magic": both | many})

	add(InnerApp, appSet("dns", "doh2"), map[string]int{
		"dns.query": server | many, "dns.query.name": both | many, "dns.queries.rrname": both | many, "dns.answer.name": both | many,
		"dns.answers.rrname": both | many, "dns.authorities.rrname": both | many, "dns.additionals.rrname": both | many,
		"dns.response.rrname": client | many,
	})
	add(InnerApp, appSet("mdns"), map[string]int{
		"mdns.queries.rrname": both | many, "mdns.answers.rrname": both | many, "mdns.authorities.rrname": both | many,
		"mdns.additionals.rrname": both | many, "mdns.response.rrname": both | many,
	})
	add(InnerApp, appSet("tls"), map[string]int{
		"tls.sni": server, "tls.certs": both | many, "tls.cert_subject": both | many, "tls.cert_issuer": both, "tls.cert_serial": both | upper,
		"tls.cert_fingerprint": both | lower, "tls.subjectaltname": both | many, "tls.alpn": both | many,
		"tls.random": both, "tls.random_time": both, "tls.random_bytes": both,
	})
	add(InnerApp, appSet("tls", "quic"), map[string]int{
		"ja3.hash": server | lower, "ja3.string": server, "ja3s.hash": client | lower, "ja3s.string": client, "ja4.hash": server,
	})
	add(InnerApp, appSet("quic"), map[string]int{
		"quic.sni": server, "quic.ua": server, "quic.version": both, "quic.cyu.hash": server | many, "quic.cyu.string": server | many,
	})
	add(InnerApp, appSet("ssh"), map[string]int{
		"ssh.proto": both | weak, "ssh.software": both, "ssh.hassh": server, "ssh.hassh.string": server,
		"ssh.hassh.server": client, "ssh.hassh.server.string": client,
	})
	add(InnerApp, appSet("smtp"), map[string]int{
		"email.from": server, "email.to": server, "email.cc": server, "email.subject": server, "email.date": server,
		"email.message_id": server, "email.x_mailer": server, "email.url": server | many, "email.received": server | many,
		"email.body_md5": server, "smtp.helo": server, "smtp.mail_from": server, "smtp.rcpt_to": server | many,
	})
	add(InnerApp, appSet("ftp"), map[string]int{
		"ftp.command": server | weak, "ftp.command_data": server, "ftp.reply": client | many, "ftp.completion_code": client | many | weak,
	})
	add(InnerApp, appSet("smb"), map[string]int{
		"smb.named_pipe": server, "smb.share": server, "smb.ntlmssp_user": server, "smb.ntlmssp_domain": server,
	})
	add(InnerApp, appSet("dcerpc", "smb"), map[string]int{"dcerpc.stub_data": both})
	add(InnerApp, appSet("sip"), map[string]int{
		"sip.method": server | weak, "sip.uri": server, "sip.request_line": server, "sip.stat_code": client | weak, "sip.stat_msg": client,
		"sip.response_line": client, "sip.protocol": both | weak, "sip.from": both | many, "sip.to": both | many, "sip.via": both | many,
		"sip.ua": both | many, "sip.content_type": both | many, "sip.content_length": both | many,
		"sdp.session_name": both, "sdp.session_info": both, "sdp.origin": both, "sdp.uri": both, "sdp.email": both, "sdp.phone_number": both,
		"sdp.connection_data": both, "sdp.bandwidth": both | many, "sdp.time": both | many, "sdp.repeat_time": both | many, "sdp.timezone": both,
		"sdp.encryption_key": both, "sdp.attribute": both | many, "sdp.media.media": both | many, "sdp.media.session_info": both | many,
		"sdp.media.connection_data": both | many, "sdp.media.encryption_key": both | many,
	})
	add(InnerApp, appSet("mqtt"), map[string]int{
		"mqtt.connect.clientid": both, "mqtt.connect.username": both, "mqtt.connect.password": both, "mqtt.connect.willtopic": both,
		"mqtt.connect.willmessage": both, "mqtt.connect.protocol_string": both, "mqtt.publish.topic": both, "mqtt.publish.message": both,
		"mqtt.subscribe.topic": both | many, "mqtt.unsubscribe.topic": both | many,
	})
	add(InnerApp, appSet("ike"), map[string]int{
		"ike.init_spi": both, "ike.resp_spi": both, "ike.vendor": both | many, "ike.key_exchange_payload": both, "ike.nonce_payload": both,
	})
	add(InnerApp, appSet("krb5"), map[string]int{"krb5_cname": both | many, "krb5_sname": both | many})
	add(InnerApp, appSet("ldap"), map[string]int{
		"ldap.request.dn": server, "ldap.responses.dn": client | many, "ldap.responses.message": client | many,
		"ldap.request.attribute_type": server | many, "ldap.responses.attribute_type": client | many,
	})
	add(InnerApp, appSet("snmp"), map[string]int{"snmp.community": both, "snmp.usm": both})
	add(InnerApp, appSet("rfb"), map[string]int{"rfb.name": client})
	add(InnerApp, appSet("enip"), map[string]int{"enip.product_name": both, "enip.service_name": both})
	add(InnerApp, appSet("dnp3"), map[string]int{"dnp3_data": both})
	add(InnerApp, appSet("websocket"), map[string]int{"websocket.payload": both})
	add(InnerApp, appSet("pgsql"), map[string]int{"pgsql.query": server})
	add(InnerApp, appSet("ntp"), map[string]int{"ntp.reference_id": both})
	return append(table, payloadKind)
}()

var payloadKind = &BufferKind{Name: "pkt_data", Layer: Payload, ToServer: true, ToClient: true}

// bufferKindByName has the canonical names alone.
var bufferKindByName = func() map[string]*BufferKind {
	m := make(map[string]*BufferKind, len(bufferTable))
	for _, k := range bufferTable {
		if m[k.Name] != nil {
			panic("rule: two buffers are called " + k.Name)
		}
		m[k.Name] = k
	}
	return m
}()

// KindOf finds a kind of buffer by its canonical name, nil if there is none.
func KindOf(name string) *BufferKind { return bufferKindByName[name] }

// bufferAliases are other names of sticky buffers.
var bufferAliases = map[string]string{
	"file_data": "file.data", "dns_query": "dns.query",
	"http_request_line": "http.request_line", "http_response_line": "http.response_line", "http_start": "http.start",
	"http_protocol": "http.protocol", "http_accept": "http.accept", "http_accept_enc": "http.accept_enc",
	"http_accept_lang": "http.accept_lang", "http_referer": "http.referer", "http_connection": "http.connection",
	"http_content_type": "http.content_type", "http_content_len": "http.content_len", "http_header_names": "http.header_names",
	"http_request_header": "http.request_header", "http_response_header": "http.response_header", "http2.request_header": "http.request_header",
	"tls_sni": "tls.sni", "tls_cert_subject": "tls.cert_subject", "tls_cert_issuer": "tls.cert_issuer", "tls_cert_serial": "tls.cert_serial",
	"tls_cert_fingerprint": "tls.cert_fingerprint", "tls_certs": "tls.certs",
	"ja3_hash": "ja3.hash", "ja3_string": "ja3.string", "ja3s_hash": "ja3s.hash", "ja3s_string": "ja3s.string",
	"ssh_proto": "ssh.proto", "ssh_software": "ssh.software",
	"smb_named_pipe": "smb.named_pipe", "smb_share": "smb.share", "smb_ntlmssp_user": "smb.ntlmssp_user", "smb_ntlmssp_domain": "smb.ntlmssp_domain",
	"dce_stub_data": "dcerpc.stub_data", "krb5.cname": "krb5_cname", "krb5.sname": "krb5_sname", "dnp3.data": "dnp3_data",
	"sip.user_agent": "sip.ua", "tcp_hdr": "tcp.hdr", "ipv4_hdr": "ipv4.hdr", "ipv6_hdr": "ipv6.hdr",
	"ldap.request.attributes": "ldap.request.attribute_type", "ldap.responses.attributes": "ldap.responses.attribute_type",
}

// contentModifiers move the content before them to a buffer.
var contentModifiers = map[string]string{
	"http_uri": "http.uri", "http_raw_uri": "http.uri.raw", "http_method": "http.method", "http_header": "http.header",
	"http_raw_header": "http.header.raw", "http_cookie": "http.cookie", "http_client_body": "http.request_body",
	"http_server_body": "http.response_body", "http_stat_code": "http.stat_code", "http_stat_msg": "http.stat_msg",
	"http_user_agent": "http.user_agent", "http_host": "http.host", "http_raw_host": "http.host.raw",
}
