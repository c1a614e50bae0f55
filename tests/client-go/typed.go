package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

func typedClient(ctx context.Context, clients *clients) error {
	return writeAndRead(ctx, clients, "typed")
}

func protobufClient(ctx context.Context, clients *clients) error {
	config := rest.CopyConfig(clients.config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	binary, err := connect(config)
	if err != nil {
		return err
	}
	return writeAndRead(ctx, binary, "binary")
}

func writeAndRead(ctx context.Context, clients *clients, name string) error {
	maps := clients.typed.CoreV1().ConfigMaps(namespace)
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"client": name}}, Data: map[string]string{"k": "v"}}
	if _, err := maps.Create(ctx, made, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := maps.Create(ctx, made, metav1.CreateOptions{})
	say("again: exists=%t %v", errors.IsAlreadyExists(err), err)
	stale, err := maps.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := maps.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Data["k"] = "w"
		_, err = maps.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	stale.Data["k"] = "x"
	_, err = maps.Update(ctx, stale, metav1.UpdateOptions{})
	say("stale: conflict=%t %v", errors.IsConflict(err), err)
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "client=" + name})
	if err != nil {
		return err
	}
	say("listed: %d %v", len(list.Items), list.Items[0].Data)
	if err := maps.Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(stale.UID))}); err != nil {
		return err
	}
	_, err = maps.Get(ctx, name, metav1.GetOptions{})
	say("gone: missing=%t %v", errors.IsNotFound(err), err)
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "A_B"}}, metav1.CreateOptions{})
	say("invalid=%t %v", errors.IsInvalid(err), err)
	return nil
}

func strategicPatch(ctx context.Context, clients *clients) error {
	deployments := clients.typed.AppsV1().Deployments(namespace)
	labels := map[string]string{"app": "patched"}
	replicas := int32(0)
	made := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "patched"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{
					{Name: "main", Image: "main:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}},
					{Name: "side", Image: "side:1"},
				}},
			},
		},
	}
	if _, err := deployments.Create(ctx, made, metav1.CreateOptions{}); err != nil {
		return err
	}
	patch := `{"spec":{"template":{"spec":{"containers":[
		{"name":"main","image":"main:2","env":[{"name":"B","$patch":"delete"},{"name":"C","value":"3"}]},
		{"name":"more","image":"more:1"}]}}}}`
	patched, err := deployments.Patch(ctx, "patched", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "patcher"})
	if err != nil {
		return err
	}
	for _, container := range patched.Spec.Template.Spec.Containers {
		environment := ""
		for _, variable := range container.Env {
			environment += fmt.Sprintf(" %s=%s", variable.Name, variable.Value)
		}
		say("%s %s%s", container.Name, container.Image, environment)
	}
	return deployments.Delete(ctx, "patched", metav1.DeleteOptions{})
}

func serverSideApply(ctx context.Context, clients *clients) error {
	maps := clients.typed.CoreV1().ConfigMaps(namespace)
	apply := func(manager, value string, force bool) error {
		wanted := applycore.ConfigMap("applied", namespace).WithData(map[string]string{"k": value})
		applied, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: manager, Force: force})
		if err != nil {
			say("%s: conflict=%t %v", manager, errors.IsConflict(err), err)
			return nil
		}
		owned, err := applycore.ExtractConfigMap(applied, manager)
		if err != nil {
			return err
		}
		say("%s owns %v of %v", manager, owned.Data, applied.Data)
		return nil
	}
	for _, step := range []struct {
		manager, value string
		force          bool
	}{{"one", "a", false}, {"two", "a", false}, {"two", "b", false}, {"two", "b", true}} {
		if err := apply(step.manager, step.value, step.force); err != nil {
			return err
		}
	}
	return maps.Delete(ctx, "applied", metav1.DeleteOptions{})
}
