// Works with an API server as Go clients do, and prints what it saw. The API server's answers decide every line, so that
// two API servers can be compared by the output.
//
//	client-go KUBECONFIG
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Every check ends within this time, or has failed.
const limit = time.Minute

const namespace = "default"

// Clients of one API server.
type clients struct {
	config  *rest.Config
	typed   kubernetes.Interface
	dynamic dynamic.Interface
}

type check struct {
	name string
	run  func(context.Context, *clients) error
}

var checks = []check{
	{"typed client", typedClient},
	{"typed client with protobuf", protobufClient},
	{"strategic patch", strategicPatch},
	{"server-side apply", serverSideApply},
	{"dynamic client", dynamicClient},
	{"shared informers", sharedInformers},
	{"pages", pages},
	{"leader election", leaderElection},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: client-go KUBECONFIG")
		os.Exit(2)
	}
	failed := false
	for _, check := range checks {
		if err := runOne(os.Args[1], check); err != nil {
			fmt.Printf("%s: FAILED: %v\n", check.name, err)
			failed = true
			continue
		}
		fmt.Printf("%s: ok\n", check.name)
	}
	if failed {
		os.Exit(1)
	}
}

func runOne(kubeconfig string, check check) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	clients, err := connect(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return check.run(ctx, clients)
}

func connect(config *rest.Config) (*clients, error) {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dynamic, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &clients{config: config, typed: typed, dynamic: dynamic}, nil
}

func say(format string, arguments ...any) {
	fmt.Printf("  "+format+"\n", arguments...)
}
