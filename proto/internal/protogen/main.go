// Command protogen compiles proto/ngfw/v1 into proto/gen without protoc and
// without a network: imports come from the descriptors that the Go modules in
// go.mod already carry, plugins are the ones pinned there as tools.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"github.com/bufbuild/protocompile"
	_ "google.golang.org/genproto/googleapis/api/annotations" // google/api/annotations.proto
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb" // google/protobuf/empty.proto
	_ "google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var plugins = []struct{ name, param string }{
	{"google.golang.org/protobuf/cmd/protoc-gen-go", "paths=source_relative"},
	{"google.golang.org/grpc/cmd/protoc-gen-go-grpc", "paths=source_relative,require_unimplemented_servers=true"},
	{"github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway", "paths=source_relative"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

// run works in proto/, where go generate starts it.
func run() error {
	files, err := filepath.Glob("ngfw/v1/*.proto")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no .proto files below %s: run it from proto/", "ngfw/v1")
	}
	sort.Strings(files)
	compiler := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{"."}},
			protocompile.ResolverFunc(fromRegistry),
		},
	}
	linked, err := compiler.Compile(context.Background(), files...)
	if err != nil {
		return err
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: files}
	seen := map[string]bool{}
	for _, f := range linked {
		addWithImports(req, f, seen)
	}
	for _, p := range plugins {
		if err := plugin(req, p.name, p.param, "gen"); err != nil {
			return err
		}
	}
	return comments(linked, "gen/ngfw/v1/comments.go")
}

func fromRegistry(path string) (protocompile.SearchResult, error) {
	fd, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Desc: fd}, nil
}

func addWithImports(req *pluginpb.CodeGeneratorRequest, f protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		addWithImports(req, imports.Get(i).FileDescriptor, seen)
	}
	req.ProtoFile = append(req.ProtoFile, asProto(f))
}

// asProto turns unknown option bytes into known extensions by a round trip, so
// that plugins see google.api.http as such.
func asProto(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	type source interface {
		FileDescriptorProto() *descriptorpb.FileDescriptorProto
	}
	if s, ok := f.(source); ok {
		return s.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(f)
}

func plugin(req *pluginpb.CodeGeneratorRequest, name, param, out string) error {
	req.Parameter = proto.String(param)
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "run", name)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &resp); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %s", name, *resp.Error)
	}
	for _, f := range resp.File {
		path := filepath.Join(out, f.GetName())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
