package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/deliver"
)

func (c *cli) webhook() *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "See whether webhooks are heard"}
	cmd.AddCommand(c.webhookTest())
	return cmd
}

func (c *cli) webhookTest() *cobra.Command {
	return &cobra.Command{Use: "test NAME", Short: "Send a message of type webhook.test to a webhook, and say what it answered", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer api.WebhookAnswer
			if err := c.ask(cmd.Context(), http.MethodPost, "/webhooks/"+url.PathEscape(args[0])+"/test", nil, &answer); err != nil {
				return err
			}
			if c.json {
				if err := c.print(answer); err != nil {
					return err
				}
			}
			if !answer.Arrived {
				return fmt.Errorf("the test did not arrive: %s", legible(answer.Error))
			}
			if !c.json {
				fmt.Fprintf(c.out, "%s answered %d.\n", legible(args[0]), answer.Status)
			}
			return nil
		}}
}

// webhooks are the configuration's, with their keys.
func webhooks(cfg *config.Config) ([]deliver.Webhook, error) {
	var all []deliver.Webhook
	for _, w := range cfg.Webhooks {
		hook := deliver.Webhook{Name: w.Name, URL: w.URL, Events: w.Events, Connections: w.Connections}
		for _, s := range w.Secrets {
			k, err := credential.ParseWebhookKey(s)
			if err != nil {
				return nil, fmt.Errorf("the webhook %s: %w", w.Name, err)
			}
			hook.Keys = append(hook.Keys, k)
		}
		all = append(all, hook)
	}
	return all, nil
}

// testWebhook implements api.Config.TestWebhook.
func (a *app) testWebhook(ctx context.Context, name string) (api.WebhookAnswer, error) {
	answer, err := a.webhooks.Test(ctx, name)
	if err != nil {
		return api.WebhookAnswer{}, err
	}
	said := api.WebhookAnswer{Arrived: answer.Arrived(), Status: answer.Status}
	if !said.Arrived {
		said.Error = answer.Err().Error()
	}
	return said, nil
}
