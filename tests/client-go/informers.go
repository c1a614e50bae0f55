package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/features"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Follows secrets from before the first is there until the last is gone.
func sharedInformers(ctx context.Context, clients *clients) error {
	say("watch-list %t", features.FeatureGates().Enabled(features.WatchListClient))
	if err := createSecret(ctx, clients, "before"); err != nil {
		return err
	}
	seen := make(chan string, 100)
	only := informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "paged=yes" })
	factory := informers.NewSharedInformerFactoryWithOptions(clients.typed, time.Hour, informers.WithNamespace(namespace), only)
	secrets := factory.Core().V1().Secrets()
	_, err := secrets.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen <- "added " + object.(*corev1.Secret).Name },
		UpdateFunc: func(_, object any) { seen <- fmt.Sprintf("changed %s", object.(*corev1.Secret).Name) },
		DeleteFunc: func(object any) { seen <- "deleted " + object.(*corev1.Secret).Name },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("%v never synced", kind)
		}
	}
	if err := expect(ctx, seen, "added before"); err != nil {
		return err
	}
	cached, err := secrets.Lister().Secrets(namespace).List(labels.Everything())
	if err != nil {
		return err
	}
	say("cached %d", len(cached))
	if err := createSecret(ctx, clients, "after"); err != nil {
		return err
	}
	if err := expect(ctx, seen, "added after"); err != nil {
		return err
	}
	client := clients.typed.CoreV1().Secrets(namespace)
	after, err := client.Get(ctx, "after", metav1.GetOptions{})
	if err != nil {
		return err
	}
	after.StringData = map[string]string{"k": "v"}
	if _, err := client.Update(ctx, after, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := expect(ctx, seen, "changed after"); err != nil {
		return err
	}
	// What leaves the selection is gone to this informer.
	after, err = secrets.Lister().Secrets(namespace).Get("after")
	if err != nil {
		return err
	}
	after = after.DeepCopy()
	after.Labels = nil
	if _, err := client.Update(ctx, after, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := expect(ctx, seen, "deleted after"); err != nil {
		return err
	}
	if err := client.Delete(ctx, "after", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := client.Delete(ctx, "before", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return expect(ctx, seen, "deleted before")
}

func createSecret(ctx context.Context, clients *clients, name string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"paged": "yes"}}}
	_, err := clients.typed.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
	return err
}

func expect(ctx context.Context, seen <-chan string, wanted string) error {
	select {
	case event := <-seen:
		say("%s", event)
		if event != wanted {
			return fmt.Errorf("expected %q", wanted)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("never saw %q: %w", wanted, ctx.Err())
	}
}
