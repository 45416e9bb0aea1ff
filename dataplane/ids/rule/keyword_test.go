package rule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// accepted are options of a rule "alert PROTOCOL any any -> any any" and their
// canonical text; "" where that is the same.
var accepted = []struct{ protocol, options, canonical string }{
	// content and its modifiers
	{"tcp", `content:"abc";`, ""},
	{"tcp", `content:!"abc"; nocase;`, ""},
	{"tcp", `content: "a|62 3b|c\;\"\\";`, `content:"ab|3B|c|3B 22 5C|";`},
	{"tcp", `content:"|0D0A|x|0 0|"; depth : 20; offset:0x2;`, `content:"|0D 0A|x|00|"; offset:2; depth:20;`},
	{"tcp", `content:"a"; distance:-4; within:+9;`, `content:"a"; distance:-4; within:9;`},
	{"tcp", `content:"ab"; startswith; endswith; rawbytes;`, ""},
	{"tcp", `content:"abcdef"; fast_pattern:1,3; content:"x"; replace:"y";`, `content:"abcdef"; fast_pattern:1,3; content:"x"; replace:"y";`},
	{"tcp", `content:"abcdef"; fast_pattern:only;`, ""},
	{"tcp", `content:"ab"; prefilter;`, `content:"ab"; fast_pattern;`},
	{"tcp", `content:"a:b";`, `content:"a|3A|b";`},

	// buffers, old forms and new
	{"http", `content:"a"; http_uri; content:"b"; http_method; content:"c"; http_uri; distance:0;`,
		`http.uri; content:"a"; http.method; content:"b"; http.uri; content:"c"; distance:0;`},
	{"tcp", `uricontent:"a"; nocase; content:"b"; http_client_body;`, `http.uri; content:"a"; nocase; http.request_body; content:"b";`},
	{"http", `content:"a"; http_raw_uri; content:"p";`, `http.uri.raw; content:"a"; pkt_data; content:"p";`},
	{"http", `http.uri; content:"a"; pkt_data; content:"b"; depth:3;`, ""},
	{"http", `pcre:"/a/U"; pcre:"/b/Ri"; pcre:"/c/P";`, `http.uri; pcre:"/a/"; pcre:"/b/iR"; http.request_body; pcre:"/c/";`},
	{"dns", `dns_query; content:"a"; dns.query; content:"b";`, `dns.query; content:"a"; dns.query; content:"b";`},
	{"http", `urilen:<10; urilen:3<>9,raw;`, `http.uri; bsize:<10; http.uri.raw; bsize:3-9;`},
	{"tcp", `content:"a"; file_data; content:"b"; content:"c"; within:8;`, `content:"a"; file.data; content:"b"; content:"c"; within:8;`},
	{"smtp", `filename:"x.exe"; fileext:!"pdf"; filemagic:"PE32";`,
		`file.name; content:"x.exe"; nocase; file.name; content:!".pdf"; nocase; endswith; file.magic; content:"PE32"; nocase;`},
	{"tls", `tls.subject:"CN=a"; tls.fingerprint:!"AB:cd";`, `tls.cert_subject; content:"CN=a"; tls.cert_fingerprint; content:!"ab|3A|cd";`},
	{"tls", `ja3_hash; content:"ABCDEF"; tls.cert_serial; content:"ab";`, `ja3.hash; content:"abcdef"; tls.cert_serial; content:"AB";`},
	{"sip", `frame:pdu; content:"a";`, `frame:sip.pdu; content:"a";`},
	{"tcp", `frame:tls.pdu; content:"a";`, ""},
	{"http", `file.data:to_client; content:"a";`, ""},
	{"tcp", `tcp.hdr; content:"|02 04|"; offset:20; byte_test:2,<,536,0,big,relative;`, `tcp.hdr; content:"|02 04|"; offset:20; byte_test:2,<,536,0,relative;`},

	// transforms
	{"http", `http.uri; url_decode; to_lowercase; content:"a";`, ""},
	{"http", `http.uri; content:"q"; from_base64: offset 6, mode rfc2045; content:"a";`,
		`http.uri; content:"q"; http.uri; from_base64:offset 6, mode rfc2045; content:"a";`},
	{"http", `http.uri; from_base64; content:"a";`, `http.uri; from_base64:offset 0, mode rfc4648; content:"a";`},
	{"http", `http.host; xor:"0D0ac8ff"; dotprefix; content:".a";`, `http.host; xor:"0d0ac8ff"; dotprefix; content:".a";`},
	{"dns", `dns.query; pcrexform:"\.([^.]+)$"; to_md5; dataset:isset,tlds,type md5;`, `dns.query; pcrexform:"\.([^.]+)$"; to_md5; dataset:isset,tlds, type md5;`},
	{"http", `http.request_body; zlib_deflate:max-size 8; gunzip; content:"a";`, `http.request_body; zlib_deflate:max-size 8; gunzip:max-size 1024; content:"a";`},
	{"http", `file.data; strip_whitespace; compress_whitespace; to_sha1; to_sha256; header_lowercase; strip_pseudo_headers; domain; tld; to_uppercase; content:"A";`, ""},

	// regular expressions
	{"tcp", `pcre:!"/^a[\]\/x](?:b|c)+?\;$/Rsmi";`, `pcre:!"/^a[\]\/x](?:b|c)+?\;$/imsR";`},
	{"tcp", `pcre:/super/AEGBOx;`, `pcre:"/super/xAEGBO";`},
	{"tcp", `pcre:"/u=(\d+)\((.*)\)/, pkt:uid, flow:name";`, ""},

	// bytes
	{"tcp", `byte_test: 4 , !& , 0x80 , -2 , relative , little , bitmask 0xff00;`, `byte_test:4,!&,128,-2,relative,little,bitmask 65280;`},
	{"tcp", `byte_test:0,>=,2000,0,string,dec; byte_test:2,!=,1,0,hex,string;`, `byte_test:0,>=,2000,0,string,dec; byte_test:2,!=,1,0,string,hex;`},
	{"tcp", `byte_jump:0,0,from_end,post_offset -8; byte_jump:2,1,multiplier 4,align,little,from_beginning;`,
		`byte_jump:0,0,from_end,post_offset -8; byte_jump:2,1,little,multiplier 4,align,from_beginning;`},
	{"tcp", `byte_extract:1,0,len,relative,multiplier 2,align 4; content:"ab"; depth:len; offset:len; byte_test:len,=,len,len; isdataat:!len,relative;`,
		`byte_extract:1,0,len,relative,multiplier 2,align 4; content:"ab"; offset:len; depth:len; byte_test:len,=,len,len; isdataat:!len,relative;`},
	{"tcp", `byte_math: bytes 1, offset 1, oper <<, rvalue 2, result r, relative, endian little, bitmask 3; byte_math:bytes r, offset 0, oper *, rvalue r, result s, string hex;`,
		`byte_math:bytes 1, offset 1, oper <<, rvalue 2, result r, relative, endian little, bitmask 3; byte_math:bytes r, offset 0, oper *, rvalue r, result s, string hex;`},
	{"tcp", `isdataat:5; isdataat:!1,relative,rawbytes;`, ""},
	{"dcerpc", `dce_stub_data; byte_test:2,>,1,0,dce;`, `dcerpc.stub_data; byte_test:2,>,1,0,dce;`},
	{"http", `content:"a"; http_cookie; base64_decode:bytes 12, offset 2, relative; base64_data; content:"b";`,
		`http.cookie; content:"a"; base64_decode:bytes 12, offset 2, relative; base64_data; content:"b";`},
	{"http", `http.host; bsize:!=5; bsize:&0xc0!=0x80; entropy: bytes 5, offset 1, value >= 4.5;`,
		`http.host; bsize:!5; bsize:&192!=128; entropy:bytes 5, offset 1, value >=4.5;`},
	{"http", `http.host; entropy:value !4-5; http.referer; absent; http.user_agent; absent: or_else; content:!"a";`,
		`http.host; entropy:value !4-5; http.referer; absent; http.user_agent; absent:or_else; content:!"a";`},
	{"dns", `dns.query; dataset:set, seen, type string, state s.lst, memcap 10mb, hashsize 1024;`,
		`dns.query; dataset:set,seen, type string, state s.lst, memcap 10485760, hashsize 1024;`},
	{"dns", `dns.query; datarep:rep, >, 200, load r.rep, type string;`, `dns.query; datarep:rep, >, 200, type string, load r.rep;`},
	{"http", `ip.dst; dataset:isset,bad, type ip, load b.json, format json, enrichment_key e, value_key ip, array_key a.b, remove_key;`,
		`ip.dst; dataset:isset,bad, type ip, load b.json, format json, enrichment_key e, value_key ip, array_key a.b, remove_key;`},

	// flow and state
	{"tcp", `flow: established , from_client;`, `flow:to_server,established;`},
	{"tcp", `flow:stateless,to_client,no_frag;`, `flow:to_client,stateless,no_frag;`},
	{"tcp", `flowbits:isset,a|b.c; flowbits: set , d; flowbits:noalert;`, `flowbits:isset,a|b.c; flowbits:set,d; noalert;`},
	{"tcp", `flowbits:isnotset,a; flowbits:unset,b; flowbits:toggle,c;`, ""},
	{"tcp", `flowint: n.m , + , 1; flowint:n.m,>=,k; flowint:k,notset;`, `flowint:n.m,>=,k; flowint:k,isnotset; flowint:n.m,+,1;`},
	{"tcp", `xbits:set,x, track ip_pair, expire 3600; xbits:isset,x,track ip_src;`, `xbits:isset,x,track ip_src,expire 30; xbits:set,x,track ip_pair,expire 3600;`},
	{"tcp", `hostbits:toggle,abc,dst; hostbits:isset,y;`, `hostbits:isset,y,src,300; hostbits:toggle,abc,dst,300;`},
	{"tcp", `stream_size: server , < , 10kb; stream_size:both,=,3; stream_size:either,!=,4;`, `stream_size:server,<,10240; stream_size:both,=,3; stream_size:either,!=,4;`},
	{"ip", `flow.pkts:either,=10; flow.bytes_toclient:>5; flow.age:>=2;`, `flow.pkts:either,10; flow.bytes:toclient,>5; flow.age:>=2;`},
	{"ip", `iprep:any,CnC,>,30; iprep:src,x,isnotset;`, ""},
	{"tcp", `threshold: type both , track by_src, seconds 60, count 5;`, `threshold:type both, track by_src, count 5, seconds 60;`},
	{"tcp", `threshold:type backoff, track by_flow, count 1, multiplier 10;`, ""},
	{"tcp", `detection_filter:track by_dst, count 10, seconds 60, unique_on dst_port;`, ""},
	{"tcp", `tag:host,100,packets,src; tag:session; tag:session,5,seconds; bypass; nfq_set_mark:0x8/0xf;`, `tag:host,100,packets,src; tag:session; tag:session,5,seconds; bypass; nfq_set_mark:8/15;`},

	// headers
	{"tcp", `flags:S,12; flags:+PA; tcp.flags:!R; flags:0; flags:*SF;`, `tcp.flags:S,EC; tcp.flags:+PA; tcp.flags:!R; tcp.flags:0; tcp.flags:*FS;`},
	{"tcp", `flags:SA+; seq:0; ack:3308437468; window:!55808; tcp.mss:<536; tcp.wscale:>3;`, `tcp.flags:+SA; seq:0; ack:3308437468; window:!55808; tcp.mss:<536; tcp.wscale:>3;`},
	{"ip", `ttl:1-3; tos:!0; id:1; ipopts:lsrr; fragbits:*MD; fragoffset:>0; sameip; ip_proto:!PIM; dsize:0<>65535;`,
		`ttl:1-3; tos:!0; id:1; ipopts:lsrr; fragbits:*MD; fragoffset:>0; sameip; ip_proto:!103; dsize:0-65535;`},
	{"icmp", `itype: >= 8; icode:!=1; icmp_id:0; icmp_seq:5;`, `itype:>=8; icode:!1; icmp_id:0; icmp_seq:5;`},
	{"ip", `vlan.id:300,-1; vlan.id:>100,all; vlan.id:count >1; vlan.layers:2; ttl:128; prefilter;`, ""},
	{"ip", `vlan.id:7,nb>3; vlan.id:7,oob_or 2; vlan.id:7,or_absent;`, ""},

	// applications
	{"tcp", `app-layer-protocol:!http,final; app-layer-event:applayer_mismatch_protocol_both_directions;`, ""},
	{"tls", `app-layer-event:tls.invalid_certificate; tls.version:1.2; ssl_version:sslv2,!tls1.3; ssl_state:client_hello|server_hello; tls_cert_notafter:>2015; tls_cert_notbefore:1998-05-01<>2008-05-01; tls_cert_expired; tls.store;`,
		`app-layer-event:tls.invalid_certificate; tls.version:1.2; ssl_version:sslv2,!tls1.3; ssl_state:client_hello|server_hello; tls_cert_notafter:>2015-01-01T00:00:00; tls_cert_notbefore:1998-05-01T00:00:00<>2008-05-01T00:00:00; tls_cert_expired; tls.store;`},
	{"pkthdr", `decode-event:ipv6.frag_overlap; stream-event:est_pkt; engine-event:x.y;`, ""},
	{"mqtt", `mqtt.type:CONNACK; mqtt.flags: !retain,dup; mqtt.connect.flags:username,clean_session; mqtt.qos:!0;`, `mqtt.type:2; mqtt.flags:&9=8; mqtt.connect.flags:&130=130; mqtt.qos:!0;`},
	{"websocket", `websocket.opcode:!ping; websocket.mask:>0; websocket.flags:fin,!comp;`, `websocket.opcode:!9; websocket.mask:>0; websocket.flags:&192=128;`},
	{"smb", `dce_iface:afa8bd80-7d8a-11c9-bef4-08002b102989,=1,any_frag; dcerpc.opnum:1,5-7,!9;`, `dcerpc.iface:afa8bd80-7d8a-11c9-bef4-08002b102989,=1,any_frag; dcerpc.opnum:1,5-7,!9;`},
	{"http", `filemd5:!list.md5; filesize:>10KB; filestore:request,tx; filestore;`, `filemd5:!list.md5; filesize:>10240; filestore:request,tx; filestore;`},
	{"http2", `http2.settings:SETTINGS_HEADER_TABLE_SIZE>1000; http2.frametype:GOAWAY; http2.errorcode: no_error;`, `http2.settings:SETTINGS_HEADER_TABLE_SIZE>1000; http2.frametype:7; http2.errorcode:0;`},
	{"ftp", `ftpbounce; ftp.command; content:"PORT";`, ""},
	{"udp", `asn1:double_overflow, oversize_length 1000; rpc:100000,*,4;`, `asn1:double_overflow,oversize_length 1000; rpc:100000,*,4;`},
	{"enip", `enip_command:99 ; cip_service:16,246,6; enip.status:invalid_cmd;`, `enip_command:99; cip_service:16,246,6; enip.status:1;`},
	{"ldap", `ldap.responses.operation:search_result_done,-1; ldap.responses.count:>2;`, `ldap.responses.operation:5,-1; ldap.responses.count:>2;`},
	{"krb5", `krb5_msg_type:10; krb5.ticket_encryption: weak; krb5.cname; content:"a";`, `krb5_msg_type:10; krb5.ticket_encryption:weak; krb5_cname; content:"a";`},

	// about the rule
	{"tcp", `requires:version >= 7.0.4 < 8 | >= 8.0.1, keyword content, feature ja3; content:"a";`, ""},
	{"tcp", `noalert; content:"a";`, `content:"a"; noalert;`},
	{"tcp", `alert;`, ""},
}

func parseOptions(protocol, options string) (*Rule, error) {
	return NewParser(DefaultConfig()).Parse("alert " + protocol + " any any -> any any (" + options + " sid:1;)")
}

func TestKeywords(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range accepted {
		r, err := parseOptions(tt.protocol, tt.options)
		if err != nil {
			t.Errorf("%s: %v", tt.options, err)
			continue
		}
		want := tt.canonical
		if want == "" {
			want = tt.options
		}
		want = "alert " + tt.protocol + " any any -> any any (" + want + " sid:1;)"
		got := r.String()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.options, d)
		}
		mustRoundTrip(t, r)
		for _, o := range strings.FieldsFunc(tt.options+" "+want, func(c rune) bool { return strings.ContainsRune(" ;:", c) }) {
			seen[o] = true
		}
	}
	// Those that have a parser of their own each have a test.
	for name, k := range keywords {
		generic := k.integer != nil || k.buffer != nil || contentModifiers[name] != "" || wordKeywords[k.name] != nil
		if !generic && !seen[name] && !seen[k.name] && !aboutRule[name] {
			t.Errorf("no test has the keyword %s", name)
		}
	}
}

var aboutRule = map[string]bool{
	"msg": true, "rev": true, "gid": true, "classtype": true, "reference": true, "metadata": true, "target": true, "priority": true,
	"tls.issuerdn": true, "ssh.softwareversion": true, "filesha1": true, "filesha256": true,
	"flow.bytes_toserver": true, "flow.pkts_toserver": true, "flow.pkts_toclient": true,
}

// TestPlainKeywords takes every keyword of a number or without an own parser.
func TestPlainKeywords(t *testing.T) {
	for name, k := range keywords {
		options := name + "; content:\"a\";"
		switch {
		case k.integer != nil:
			options = name + ":1;"
		case k.buffer == nil || k.buffer.Layer == DecodedData:
			continue
		}
		r, err := parseOptions("ip", options)
		if err != nil {
			t.Errorf("%s: %v", options, err)
			continue
		}
		mustRoundTrip(t, r)
		if k.buffer != nil && r.Buffers[0].Kind != k.buffer || k.integer != nil && r.Conditions[0].Keyword() != k.name {
			t.Errorf("%s became %s", options, r)
		}
	}
}

func TestKeywordsRefused(t *testing.T) {
	for _, tt := range []struct {
		protocol, options string
		column            int // within the options, 1 is the first
		reason            string
	}{
		{"tcp", `contents:"a";`, 1, "unknown keyword contents; the nearest known one is content"},
		{"tcp", `http.ur; content:"a";`, 1, "http.uri"},
		{"tcp", `zzzzzzzzzz;`, 1, "unknown keyword zzzzzzzzzz"},
		{"tcp", `lua:x.lua;`, 1, "lua: scripts are not supported"},
		{"tcp", `luajit:x;`, 1, "not supported"},
		{"tcp", `geoip:src,RU;`, 1, "database"},
		{"tcp", `nocase;`, 1, "nocase needs a content before it"},
		{"tcp", `content;`, 1, "needs a value"},
		{"tcp", `content:abc;`, 9, "not in quotes"},
		{"tcp", `content:"";`, 10, "empty"},
		{"tcp", `content:"a|0|";`, 13, "half a byte"},
		{"tcp", `content:"a|0g|";`, 13, "hexadecimal"},
		{"tcp", `content:"a|00";`, 11, "not closed by a pipe"},
		{"tcp", `content:"a\x";`, 11, "backslash"},
		{"tcp", `content:"a"b";`, 11, "quote"},
		{"tcp", `content:"abc"; depth:2;`, 22, "less than the 3 bytes"},
		{"tcp", `content:"abc"; distance:0; within:2;`, 35, "less than the 3 bytes"},
		{"tcp", `content:"a"; depth:5; depth:6;`, 23, "given twice"},
		{"tcp", `content:"a"; depth:5; within:6;`, 23, "cannot be combined"},
		{"tcp", `content:"a"; offset:5; startswith;`, 24, "cannot be combined"},
		{"tcp", `content:"a"; offset:x;`, 21, "nothing before it in the rule sets the variable x"},
		{"tcp", `content:"a"; offset:-1;`, 21, "not from 0"},
		{"tcp", `content:"abc"; fast_pattern:1,3;`, 29, "no 3 bytes from 1"},
		{"tcp", `content:"a"; fast_pattern; content:"b"; fast_pattern;`, 41, "only one fast_pattern"},
		{"tcp", `content:!"a"; offset:3; fast_pattern;`, 25, "negated content"},
		{"tcp", `content:"a"; offset:3; fast_pattern:only;`, 24, "anywhere"},
		{"tcp", `content:"ab"; replace:"c";`, 23, "as many bytes"},
		{"http", `http.uri; content:"a"; rawbytes;`, 24, "not about http.uri"},
		{"http", `http.uri; content:"a"; http_method;`, 24, "pkt_data ends it"},
		{"http", `content:"a"; http_uri; http_method;`, 24, "already one of http.uri"},
		{"http", `http.uri; http.method; content:"a";`, 1, "nothing is matched in the buffer http.uri"},
		{"http", `content:"a"; http.uri;`, 14, "nothing is matched"},
		{"http", `http.uri:x; content:"a";`, 10, "takes no value"},
		{"dns", `http.uri; content:"a";`, 1, "http.uri is of http1/http2/doh2, but"},
		{"tcp", `tls.sni; content:"a"; http.uri; content:"b";`, 23, "of tls"},
		{"tls", `krb5_msg_type:1;`, 1, "krb5"},
		{"http", `http.uri; content:"a"; http.stat_code; content:"b";`, 24, "one direction"},
		{"http", `flow:to_client; http.uri; content:"a";`, 1, "not in the direction"},
		{"http", `http.host; content:"A";`, 1, "capital letters"},
		{"tcp", `base64_data; content:"a";`, 1, "base64_decode before"},
		{"tcp", `to_md5; content:"a";`, 1, "sticky buffer before"},
		{"http", `http.uri; xor:"0"; content:"a";`, 15, "hexadecimal"},
		{"http", `http.uri; pcrexform:"abc"; content:"a";`, 21, "captures nothing"},
		{"tcp", `bsize:5;`, 1, "sticky buffer before"},
		{"http", `http.uri; content:"abcdef"; bsize:<6;`, 29, "needs 6 bytes of http.uri, which has at most 5"},
		{"http", `http.uri; content:"abc"; offset:4; urilen:6;`, 36, "needs 7 bytes"},
		{"tcp", `content:"abcdef"; dsize:5;`, 19, "needs 6 bytes of pkt_data"},
		{"http", `dsize:5; http.uri; content:"a";`, 1, "no rule can be about both"},
		{"http", `http.uri; content:"a"; absent;`, 24, "comes first"},
		{"http", `http.uri; absent; content:"a";`, 11, "stands alone"},
		{"tcp", `pcre:"abc";`, 7, "/expression/flags"},
		{"tcp", `pcre:"/a(b/";`, 9, "( is not closed"},
		{"tcp", `pcre:"/ab)/";`, 10, ") closes no group"},
		{"tcp", `pcre:"/a[b/";`, 9, "[ is not closed"},
		{"tcp", `pcre:"/*a/";`, 8, "repeats nothing"},
		{"tcp", `pcre:"/a/k";`, 10, "no flag"},
		{"tcp", `pcre:"/a/UP";`, 11, "two buffers"},
		{"http", `http.uri; pcre:"/a/P";`, 20, "pkt_data ends it"},
		{"tcp", `byte_test:9,=,1,0;`, 11, "the most are 8"},
		{"tcp", `byte_test:0,=,1,0;`, 11, "no bytes"},
		{"tcp", `byte_test:1,~,1,0;`, 11, "no operator"},
		{"tcp", `byte_test:1,=,1;`, 11, "is written"},
		{"tcp", `byte_test:1,=,1,0,sideways;`, 11, "no option"},
		{"tcp", `byte_jump:1,0,from_beginning,from_end;`, 11, "exclude"},
		{"tcp", `byte_extract:1,0,a; byte_extract:1,0,a;`, 34, "set twice"},
		{"tcp", `byte_math:bytes 1, offset 0, oper /, rvalue 0, result r;`, 11, "division by 0"},
		{"tcp", `byte_math:bytes 1, offset 0, oper +, rvalue 1;`, 11, "needs result"},
		{"tcp", `flow:established,established;`, 6, "twice"},
		{"tcp", `flow:to_server,from_server;`, 6, "exclude"},
		{"tcp", `flow:sideways;`, 6, "sideways"},
		{"tcp", `flow:established; flow:to_server;`, 19, "only one flow"},
		{"tcp", `flowbits:set,a|b;`, 10, "one name"},
		{"tcp", `flowbits:flip,a;`, 10, "flip"},
		{"tcp", `flowint:a,+;`, 9, "takes a value"},
		{"tcp", `xbits:set,a;`, 7, "what to track"},
		{"tcp", `threshold:type limit, track by_src, count 1;`, 11, "needs seconds"},
		{"tcp", `threshold:type backoff, track by_src, count 1, multiplier 2;`, 11, "by_flow"},
		{"tcp", `threshold:type limit, track by_src, count 1, seconds 1; detection_filter:track by_src, count 1, seconds 1;`, 57, "only one threshold"},
		{"icmp", `detection_filter:track by_src, count 1, seconds 1, unique_on dst_port;`, 18, "ports"},
		{"ip", `ttl:256;`, 5, "8 bits"},
		{"ip", `ttl:<0;`, 5, "below 0"},
		{"ip", `ttl:5-6;`, 5, "no number between"},
		{"ip", `ip_proto:nosuch;`, 10, "no protocol"},
		{"tcp", `flags:X;`, 7, "no TCP flag"},
		{"mqtt", `mqtt.type:CONECT;`, 11, "nearest known one is connect"},
		{"websocket", `websocket.flags:&0xc0=2;`, 17, "never leaves"},
		{"tcp", `app-layer-event:nosuch.event;`, 17, "application protocol"},
		{"tcp", `frame:pdu; content:"a";`, 7, "needs a protocol"},
		{"tcp", `prefilter;`, 1, "keyword before"},
		{"tcp", `msg:"a"; msg:"b";`, 10, "twice"},
		{"tcp", `msg:a;`, 5, "quotes"},
		{"tcp", `priority:0;`, 10, "1 to 255"},
		{"tcp", `target:everyone;`, 8, "src_ip or dest_ip"},
		{"tcp", `reference:url;`, 11, "system,id"},
		{"tcp", `requires:version == 8; content:"a";`, 10, "a version is compared"},
		{"tcp", `noalert; alert;`, 10, "exclude"},
		{"tcp", `;`, 1, "a keyword is missing"},
	} {
		_, err := parseOptions(tt.protocol, tt.options)
		e, ok := err.(*Error)
		if !ok {
			t.Errorf("%s: %v, want %q", tt.options, err, tt.reason)
			continue
		}
		column := e.Column - len("alert "+tt.protocol+" any any -> any any (")
		if e.Line != 1 || column != tt.column || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("%s: column %d, %s; want column %d, %q", tt.options, column, e.Reason, tt.column, tt.reason)
		}
	}
}

// mustRoundTrip parses what is printed.
func mustRoundTrip(t interface {
	Helper()
	Errorf(string, ...any)
}, r *Rule) {
	t.Helper()
	text := r.String()
	again, err := NewParser(DefaultConfig()).Parse(text)
	if err != nil {
		t.Errorf("%s\nbecame %s\nwhich is refused: %v", r.Text, text, err)
		return
	}
	if d := cmp.Diff(r, again, sameRule); d != "" {
		t.Errorf("%s\nbecame %s\n(-before +after):\n%s", r.Text, text, d)
	}
	if second := again.String(); second != text {
		t.Errorf("%s\nis printed as %s\nand then as %s", r.Text, text, second)
	}
}
