// What a front end asks a user's conversations for, answered by Express from objects in memory: no database, no token.
// What it answers is given with PUT /documents. Prints {"port":N}.
import express from 'express';

const app = express();
let documents = [];
app.set('etag', false);

app.put('/documents', express.json({ limit: '100mb' }), (req, res) => {
    documents = req.body;
    res.json({});
});
app.get('/api/conversations', (req, res) => {
    res.json(documents.slice(0, Number(req.query.limit)));
});
app.get('/api/conversations/:id', (req, res) => {
    res.json(documents.find(({ _id }) => _id === req.params.id));
});

const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
