// Builds the two panes of the test page and lets the agent follow the customer.

import { agent } from './agent.js';
import { customer } from './customer.js';

const shared = document.getElementById('conversation');
for (const root of document.querySelectorAll('.pane')) root.append(shared.content.cloneNode(true));

const offer = agent(document.getElementById('agent'));
customer(document.getElementById('customer'), offer);
