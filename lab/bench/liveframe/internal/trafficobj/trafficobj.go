// Package trafficobj owns the compiled generator, sink and mirror of the
// benchmarks: bpf2go's output alone, committed, so that a build needs no clang.
package trafficobj

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type plan -type expected -type arrived -type source Traffic ../../../../../bpf/traffic.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
