package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
)

// Finds a kind by discovery, writes it without its type, and reads its metadata alone.
func dynamicClient(ctx context.Context, clients *clients) error {
	client, err := discovery.NewDiscoveryClientForConfig(clients.config)
	if err != nil {
		return err
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "StatefulSet"})
	if err != nil {
		return err
	}
	say("%s %t", mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace)
	sets := clients.dynamic.Resource(mapping.Resource).Namespace(namespace)
	labels := map[string]any{"app": "loose"}
	made := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1",
		"kind":       "StatefulSet",
		"metadata":   map[string]any{"name": "loose"},
		"spec": map[string]any{
			"replicas":    int64(0),
			"serviceName": "loose",
			"selector":    map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "main", "image": "main:1"}}},
			},
		},
	}}
	created, err := sets.Create(ctx, made, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	policy, _, err := unstructured.NestedString(created.Object, "spec", "podManagementPolicy")
	if err != nil {
		return err
	}
	say("defaulted %s, generation %d", policy, created.GetGeneration())
	scale, err := sets.Get(ctx, "loose", metav1.GetOptions{}, "scale")
	if err != nil {
		return err
	}
	selector, _, err := unstructured.NestedString(scale.Object, "status", "selector")
	if err != nil {
		return err
	}
	say("%s %s", scale.GetKind(), selector)
	light, err := metadata.NewForConfig(clients.config)
	if err != nil {
		return err
	}
	list, err := light.Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=loose"})
	if err != nil {
		return err
	}
	say("metadata of %d %s", len(list.Items), list.Items[0].Name)
	return sets.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name=loose"})
}

// Reads a list page by page.
func pages(ctx context.Context, clients *clients) error {
	maps := clients.typed.CoreV1().Secrets(namespace)
	for index := range 5 {
		if err := createSecret(ctx, clients, fmt.Sprintf("page-%d", index)); err != nil {
			return err
		}
	}
	options := metav1.ListOptions{LabelSelector: "paged=yes", Limit: 2}
	for {
		list, err := maps.List(ctx, options)
		if err != nil {
			return err
		}
		names := []string{}
		for _, item := range list.Items {
			names = append(names, item.Name)
		}
		say("%v more=%t", names, list.Continue != "")
		if list.Continue == "" {
			break
		}
		options.Continue = list.Continue
	}
	return maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "paged=yes"})
}
