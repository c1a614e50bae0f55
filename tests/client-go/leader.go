package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Two candidates: the first leads until it steps down, then the second does.
func leaderElection(ctx context.Context, clients *clients) error {
	// A lease is free a moment before its last holder hears that it stopped: each candidate is heard on its own.
	led, followed := make(chan string, 10), make(chan string, 10)
	first, stepDown := context.WithCancel(ctx)
	defer stepDown()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		campaign(first, clients, "first", led)
	}()
	if err := expect(ctx, led, "first leads"); err != nil {
		return err
	}
	second, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		campaign(second, clients, "second", followed)
	}()
	stepDown()
	<-ended
	if err := expect(ctx, led, "first stops"); err != nil {
		stop()
		return err
	}
	err := expect(ctx, followed, "second leads")
	stop()
	<-over
	if err != nil {
		return err
	}
	leases := clients.typed.CoordinationV1().Leases(namespace)
	lease, err := leases.Get(ctx, "leader", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if lease.Spec.HolderIdentity == nil || lease.Spec.LeaseTransitions == nil {
		return fmt.Errorf("the lease says too little: %v", lease.Spec)
	}
	say("holder %q after %d transitions", *lease.Spec.HolderIdentity, *lease.Spec.LeaseTransitions)
	return leases.Delete(ctx, "leader", metav1.DeleteOptions{})
}

func campaign(ctx context.Context, clients *clients, name string, led chan<- string) {
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: namespace},
			Client:     clients.typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   15 * time.Second,
		RenewDeadline:   10 * time.Second,
		RetryPeriod:     100 * time.Millisecond,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { led <- name + " leads" },
			OnStoppedLeading: func() { led <- name + " stops" },
		},
	})
}
