// Package bpfobj owns the compiled packet programs and the Go types of their
// maps: bpf2go's output alone, made by `make generate` with clang 14 and
// committed, so that a build needs no clang.
package bpfobj

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type tuple -type flow -type refusal_key -type refusal -type notice -type event -type counter -type verdict -type pair -type line -type address -type image -type config -type question -type report -type fast -type fast_key -type fast_nat -type fast_nat6 -type fast_watch -type early -type lists_line -type list_name -type nat_box -type nat_list -type nat_meta -type qos_table -type qos_link -type qos_device_key -type qos_device -type trace_side -type trace -type trace_record Tc ../../../bpf/tc.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel Xdp ../../../bpf/xdp.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel Simulate ../../../bpf/simulate.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type bench -type asked Bench ../../../bpf/bench.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type fast_census Collect ../../../bpf/collect.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type tuple_line -type tuple_led -type flow_scan Table ../../../bpf/table.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel Qos ../../../bpf/qos.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
